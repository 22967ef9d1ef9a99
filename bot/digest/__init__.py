"""The daily digest: facts, words, picture, and when it is told; each figure is read out of the record."""
