/**
 * A small XML tree: what the codecs read and write, and what Strophe takes for a DOM inside a
 * worker, where browsers have none (see dom.ts). One class serves both, so that a stanza is
 * parsed once and never converted.
 *
 * The parser is strict on purpose: RFC 6120 §11.1 forbids comments, processing instructions,
 * DTDs and undeclared entities in a stream, so each of them is an error here.
 */

export class XText {
  readonly nodeType = 3;
  readonly nodeName = '#text';
  parentNode: XElement | null = null;
  constructor(public nodeValue: string) {}
  get textContent(): string {
    return this.nodeValue;
  }
}

export type XNode = XElement | XText;
export type Attrs = Record<string, string | number | boolean | null | undefined>;
export type Content = XElement | string | null | undefined | false | Content[];

interface XAttr {
  name: string;
  nodeName: string;
  localName: string;
  value: string;
}

export class XElement {
  readonly nodeType = 1;
  readonly ELEMENT_NODE = 1;
  readonly attrs = new Map<string, string>();
  readonly childNodes: XNode[] = [];
  parentNode: XElement | null = null;

  constructor(readonly nodeName: string) {}

  get tagName(): string {
    return this.nodeName;
  }
  get localName(): string {
    return this.nodeName.slice(this.nodeName.indexOf(':') + 1);
  }
  get prefix(): string {
    const colon = this.nodeName.indexOf(':');
    return colon < 0 ? '' : this.nodeName.slice(0, colon);
  }
  /** The namespace in scope, resolved through the ancestors (an element may be built before it is attached). */
  get namespaceURI(): string | null {
    const decl = this.prefix ? `xmlns:${this.prefix}` : 'xmlns';
    for (let el: XElement | null = this; el; el = el.parentNode) {
      const uri = el.attrs.get(decl);
      if (uri !== undefined) return uri;
    }
    // RFC 7395 §3.3.3 wants every frame to declare it; some servers rely on the stream's prefix.
    return this.prefix === 'stream' ? 'http://etherx.jabber.org/streams' : null;
  }
  get attributes(): XAttr[] & { getNamedItem(name: string): XAttr | null } {
    const list: XAttr[] = [...this.attrs].map(([name, value]) => ({
      name,
      nodeName: name,
      localName: name.slice(name.indexOf(':') + 1),
      value,
    }));
    return Object.assign(list, { getNamedItem: (name: string) => list.find((a) => a.name === name) ?? null });
  }
  get children(): XElement[] {
    return this.childNodes.filter((n): n is XElement => n.nodeType === 1);
  }
  get firstChild(): XNode | null {
    return this.childNodes[0] ?? null;
  }
  get firstElementChild(): XElement | null {
    return this.children[0] ?? null;
  }
  get parentElement(): XElement | null {
    return this.parentNode;
  }
  get textContent(): string {
    return this.childNodes.map((n) => n.textContent).join('');
  }
  getAttribute(name: string): string | null {
    return this.attrs.get(name) ?? null;
  }
  setAttribute(name: string, value: string): void {
    this.attrs.set(name, String(value));
  }
  removeAttribute(name: string): void {
    this.attrs.delete(name);
  }
  appendChild<T extends XNode>(node: T): T {
    node.parentNode = this;
    this.childNodes.push(node);
    return node;
  }
  getElementsByTagName(name: string): XElement[] {
    return this.descendants((el) => el.nodeName === name);
  }
  getElementsByTagNameNS(ns: string, name: string): XElement[] {
    return this.descendants((el) => el.localName === name && el.namespaceURI === ns);
  }
  private descendants(match: (el: XElement) => boolean): XElement[] {
    const found: XElement[] = [];
    for (const child of this.children) {
      if (match(child)) found.push(child);
      found.push(...child.descendants(match));
    }
    return found;
  }
  clone(): XElement {
    const copy = new XElement(this.nodeName);
    for (const [k, v] of this.attrs) copy.attrs.set(k, v);
    for (const n of this.childNodes) copy.appendChild(n instanceof XElement ? n.clone() : new XText(n.nodeValue));
    return copy;
  }

  // -- what the codecs use ---------------------------------------------------------------

  attr(name: string): string {
    return this.attrs.get(name) ?? '';
  }
  /** The first child with this local name and namespace. */
  child(name: string, ns?: string): XElement | undefined {
    return this.children.find((c) => c.localName === name && (ns === undefined || c.namespaceURI === ns));
  }
  all(name: string, ns?: string): XElement[] {
    return this.children.filter((c) => c.localName === name && (ns === undefined || c.namespaceURI === ns));
  }
  /** Text of a child, '' if there is none. */
  text(name: string, ns?: string): string {
    return this.child(name, ns)?.textContent ?? '';
  }
  toString(): string {
    let out = `<${this.nodeName}`;
    for (const [k, v] of this.attrs) out += ` ${k}="${escapeAttr(v)}"`;
    if (this.childNodes.length === 0) return `${out}/>`;
    out += '>';
    for (const n of this.childNodes) out += n instanceof XElement ? n.toString() : escapeText(n.nodeValue);
    return `${out}</${this.nodeName}>`;
  }
}

/** Builds an element: x('message', { to }, x('body', {}, text)). Empty values are left out. */
export function x(name: string, attrs: Attrs = {}, ...content: Content[]): XElement {
  const el = new XElement(name);
  for (const [k, v] of Object.entries(attrs)) {
    if (v !== null && v !== undefined && v !== false) el.attrs.set(k, allowed(String(v)));
  }
  const add = (c: Content): void => {
    if (c === null || c === undefined || c === false) return;
    if (Array.isArray(c)) c.forEach(add);
    else el.appendChild(typeof c === 'string' ? new XText(allowed(c)) : c);
  };
  add(content);
  return el;
}

// XML 1.0 §2.2: these can't appear even as references; a stanza holding one would end the stream.
const FORBIDDEN =
  /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

/** Cleaned when built, not when written: Strophe writes with its own serialiser. */
function allowed(s: string): string {
  return s.replace(FORBIDDEN, '');
}

export function escapeText(s: string): string {
  return s.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;').replace(/\r/g, '&#13;');
}
export function escapeAttr(s: string): string {
  return escapeText(s).replace(/"/g, '&quot;').replace(/\n/g, '&#10;').replace(/\t/g, '&#9;');
}

const NAMED: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

function resolve(s: string): string {
  if (!s.includes('&')) return s;
  return s.replace(/&([^;]*);?/g, (whole, ref: string) => {
    const named = NAMED[ref];
    if (named && whole.endsWith(';')) return named;
    const num = /^#(?:x([0-9a-fA-F]{1,6})|([0-9]{1,7}))$/.exec(ref);
    const code = num ? Number.parseInt(num[1] ?? num[2]!, num[1] ? 16 : 10) : Number.NaN;
    if (!(code > 0 && code <= 0x10ffff)) throw new Error(`xml: bad reference ${whole}`);
    return String.fromCodePoint(code);
  });
}

const OPEN = /<([A-Za-z_][^\s/>=<"'&]*)((?:\s+[^\s/>=<"'&]+\s*=\s*(?:"[^"<]*"|'[^'<]*'))*)\s*(\/?)>/y;
const CLOSE = /<\/([^\s>]+)\s*>/y;
const ATTR = /([^\s=]+)\s*=\s*(?:"([^"]*)"|'([^']*)')/g;
const MAX_DEPTH = 64;

/** Parses one complete element. Throws on anything RFC 6120 §11.1 forbids. */
export function parse(src: string): XElement {
  const holder = new XElement('');
  let top = holder;
  let depth = 0;
  let pos = 0;
  while (pos < src.length) {
    const lt = src.indexOf('<', pos);
    const end = lt < 0 ? src.length : lt;
    if (end > pos) {
      const raw = src.slice(pos, end);
      if (top !== holder) top.appendChild(new XText(resolve(raw.replace(/\r\n?/g, '\n'))));
      else if (raw.trim()) throw new Error('xml: text outside the element');
      pos = end;
      continue;
    }
    if (src.startsWith('<![CDATA[', pos)) {
      const stop = src.indexOf(']]>', pos);
      if (stop < 0 || top === holder) throw new Error('xml: bad CDATA');
      top.appendChild(new XText(src.slice(pos + 9, stop)));
      pos = stop + 3;
      continue;
    }
    CLOSE.lastIndex = pos;
    const close = CLOSE.exec(src);
    if (close) {
      if (top === holder || top.nodeName !== close[1]) throw new Error(`xml: unexpected </${close[1]}>`);
      top = top.parentNode!;
      depth--;
      pos = CLOSE.lastIndex;
      continue;
    }
    OPEN.lastIndex = pos;
    const open = OPEN.exec(src);
    if (!open) throw new Error('xml: not well-formed');
    if (top === holder && holder.childNodes.length) throw new Error('xml: more than one element');
    const el = new XElement(open[1]!);
    for (const a of open[2]!.matchAll(ATTR)) {
      if (el.attrs.has(a[1]!)) throw new Error(`xml: attribute ${a[1]} twice`);
      el.attrs.set(a[1]!, resolve(a[2] ?? a[3]!));
    }
    top.appendChild(el);
    pos = OPEN.lastIndex;
    if (!open[3]) {
      if (++depth > MAX_DEPTH) throw new Error('xml: too deep');
      top = el;
    }
  }
  if (top !== holder || !holder.firstElementChild) throw new Error('xml: incomplete');
  const root = holder.firstElementChild;
  root.parentNode = null;
  return root;
}
