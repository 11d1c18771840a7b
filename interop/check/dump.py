# Reads the archive's records straight from a copy of the SQLite files: a reader
# of its own, independent of the server's code. One JSON object a line.
import json, sqlite3, sys

db = sqlite3.connect(sys.argv[1])
bad = db.execute("PRAGMA integrity_check").fetchone()[0]
if bad != "ok":
    sys.exit("integrity_check: " + bad)
q = """SELECT r.pos, c.key, r.conv_seq, r.sender, r.recipient, r.stanza
       FROM record r JOIN conversation c ON c.id = r.conv ORDER BY r.pos"""
for pos, conv, seq, sender, recipient, stanza in db.execute(q):
    json.dump({"pos": pos, "conv": conv, "conv_seq": seq, "sender": sender, "recipient": recipient,
               "stanza": (stanza or b"").decode("utf-8") if not isinstance(stanza, str) else stanza}, sys.stdout)
    sys.stdout.write("\n")
