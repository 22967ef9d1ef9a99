"use strict";
// Checks the pack that stands in this page: each event against its seal, each seal and the whole against its signature.
const text = (id) => document.getElementById(id).textContent;
const utf8 = (words) => new TextEncoder().encode(words);
const hex = (bytes) => Array.from(new Uint8Array(bytes), (b) => b.toString(16).padStart(2, "0")).join("");
const bytes = (digits) => Uint8Array.from(digits.match(/../g) || [], (two) => parseInt(two, 16));
const sha256 = async (data) => hex(await crypto.subtle.digest("SHA-256", data));
const points = (words) => Array.from(words).length; // Python counts code points

async function attests(key, message, signature) {
  const known = await crypto.subtle.importKey("raw", bytes(key), { name: "Ed25519" }, false, ["verify"]);
  return crypto.subtle.verify({ name: "Ed25519" }, known, bytes(signature), message);
}

async function flaw(body, signed) {
  for (const seal of body.seals) {
    const inner = await sha256(bytes(seal.digests));
    const words = ["jit audit seal 1", seal.workspace, seal.seal, seal.first, seal.last, seal.at.toFixed(6), seal.previous, inner, seal.key];
    const hash = await sha256(utf8(words.join("\n")));
    if (seal.head !== seal.last + "-" + hash) return "the seal over " + seal.first + " to " + seal.last + " is not what it says";
    if (!(await attests(seal.key, bytes(hash), seal.signature))) return "the seal over " + seal.first + " to " + seal.last + " is not signed";
  }
  let version = 0;
  for (const e of body.events) {
    const seal = body.seals.find((one) => one.first <= e.seq && e.seq <= one.last);
    if (!seal) return "event " + e.seq + " stands under no seal";
    const words = [e.seq, e.at.toFixed(6), e.version, points(e.id), points(e.kind), e.id + e.kind + e.event].join("|");
    const at = (e.seq - seal.first) * 64;
    if ((await sha256(utf8(words))) !== seal.digests.slice(at, at + 64)) return "event " + e.seq + " was changed";
    if (e.version && e.version !== ++version) return "an event before " + e.seq + " was removed";
  }
  if (!(await attests(signed.key, utf8(text("body")), signed.signature))) return "the pack is not what was signed";
  return "";
}

async function check() {
  const verdict = document.getElementById("verdict");
  try {
    const body = JSON.parse(text("body")), signed = JSON.parse(text("signed"));
    const found = await flaw(body, signed);
    verdict.className = found ? "broken" : "whole";
    verdict.textContent = found
      ? "NOT WHOLE: " + found + "."
      : "Whole: " + body.events.length + " events are what was sealed, and the data of this page what was signed, by the key " + signed.key +
        ". Compare that key, and the last head, with those that you know. For what the tables say, the events count.";
  } catch (error) {
    verdict.textContent = "Not checked: this browser cannot (" + error.name + "). Use jit audit verify --file on the JSON pack.";
  }
}
check();
