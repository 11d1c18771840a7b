/**
 * The few DOM globals Strophe 5 reaches for (DOMParser, XMLSerializer, document.implementation),
 * met by xml.ts. Workers have none of them. Import this before strophe.js.
 *
 * Why not @xmldom/xmldom, which Strophe's Node build uses: it costs more bytes than Strophe
 * itself, and a whole DOM is not needed for eight methods.
 */
import { parse, XElement, XText } from './xml.ts';

class WorkerDocument {
  readonly nodeType = 9;
  constructor(readonly documentElement: XElement) {}
  get childNodes(): XElement[] {
    return [this.documentElement];
  }
  get firstElementChild(): XElement {
    return this.documentElement;
  }
  getElementsByTagName(name: string): XElement[] {
    const root = this.documentElement;
    return [...(root.nodeName === name ? [root] : []), ...root.getElementsByTagName(name)];
  }
  getElementsByTagNameNS(ns: string, name: string): XElement[] {
    const root = this.documentElement;
    const self = root.localName === name && root.namespaceURI === ns ? [root] : [];
    return [...self, ...root.getElementsByTagNameNS(ns, name)];
  }
  createElement(name: string): XElement {
    return new XElement(name);
  }
  createTextNode(text: string): XText {
    return new XText(text);
  }
  importNode(node: XElement): XElement {
    return node.clone();
  }
}

class WorkerDOMParser {
  parseFromString(src: string): WorkerDocument {
    try {
      return new WorkerDocument(parse(src));
    } catch {
      // What browsers do: a document whose root says that parsing failed.
      const err = new XElement('parsererror');
      err.setAttribute('xmlns', 'http://www.w3.org/1999/xhtml');
      err.appendChild(new XText('not well-formed'));
      return new WorkerDocument(err);
    }
  }
}

class WorkerXMLSerializer {
  serializeToString(el: XElement): string {
    return el.toString();
  }
}

/**
 * Sets them where they are missing, or where Strophe runs inside a page (no SharedWorker):
 * there Strophe must see our tree too, so the page's parser is shadowed only for Strophe's own
 * calls by installing on the global before it is imported. Nothing else in the client parses XML.
 */
export function installDom(): void {
  const g = globalThis as unknown as Record<string, unknown>;
  g.DOMParser = WorkerDOMParser;
  g.XMLSerializer = WorkerXMLSerializer;
  const implementation = { createDocument: () => new WorkerDocument(new XElement('strophe')) };
  if (typeof document === 'undefined') g.document = { implementation };
  else Object.defineProperty(document, 'implementation', { value: implementation, configurable: true });
}

installDom();
