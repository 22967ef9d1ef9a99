"""LDAP (RFC 4511): who is in a group of OpenLDAP, Active Directory or another directory server."""
