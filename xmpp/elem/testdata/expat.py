# A strict second parser: reads documents from standard input, one a line in
# hexadecimal, and answers each with a line: "-" if expat refuses it, else the
# tree in JSON as [name, {attribute: value}, text, [children]], names as
# "namespace|local" ("local" without one).
import json
import sys
from xml.parsers import expat

SEP = "\x01"  # can't stand in a document


def name(n):
    return n.replace(SEP, "|")


def tree(doc):
    parser = expat.ParserCreate(namespace_separator=SEP)
    root = [None, {}, "", []]
    stack = [root]

    def start(n, attrs):
        e = [name(n), {name(k): v for k, v in attrs.items()}, "", []]
        stack[-1][3].append(e)
        stack.append(e)

    def end(n):
        stack.pop()

    def text(t):
        stack[-1][2] += t

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text
    parser.buffer_text = True
    parser.Parse(doc, True)
    return root[3][0]


for line in sys.stdin:
    try:
        answer = json.dumps(tree(bytes.fromhex(line)))
    except (expat.ExpatError, ValueError, LookupError):
        answer = "-"
    sys.stdout.write(answer + "\n")
    sys.stdout.flush()
