/** A scripted server for the core's tests: roster, presence, archive; what it was sent is looked at. */
import type { OfflineReason, StreamEvents, Transport } from '../xmpp/stream.ts';
import { parse, type XElement, x } from '../xmpp/xml.ts';

export interface Archived {
  id: string;
  from: string;
  to: string;
  msgId: string;
  body: string;
  stamp: string;
}

export class FakeServer implements Transport {
  sent: XElement[] = [];
  archive: Archived[] = [];
  roster: { jid: string; sub: string; group?: string }[] = [];
  /** What devices say of themselves when asked (XEP-0030): the query's content by full JID. */
  clients = new Map<string, string>();
  /** Devices that answer with an error. */
  refusing = new Set<string>();
  /** Answer IQs by itself? */
  answering = true;
  connects = 0;
  events!: StreamEvents;
  private watchers: (() => void)[] = [];

  constructor(readonly me: string) {}

  // -- Transport -------------------------------------------------------------------------
  connect(): void {
    this.connects++;
    this.wake();
  }
  send(el: XElement): boolean {
    this.sent.push(el);
    if (el.nodeName === 'iq' && this.answering) queueMicrotask(() => this.answer(el));
    this.wake();
    return true;
  }
  probe(): void {}
  close(): void {}
  drop(): void {}

  // -- the script ------------------------------------------------------------------------
  online(resumed = false): void {
    this.events.online(`${this.me}/web`, resumed);
  }
  offline(reason: OfflineReason = 'lost'): void {
    this.events.offline(reason);
  }
  give(xml: string): void {
    this.events.stanza(parse(xml));
  }
  messages(): XElement[] {
    return this.sent.filter((e) => e.nodeName === 'message' && e.child('body'));
  }
  /** Waits until something observable holds; woken by everything that happens here. */
  async until<T>(what: () => T | undefined | false | Promise<T | undefined | false>): Promise<T> {
    for (let i = 0; i < 2_000; i++) {
      const got = await what();
      if (got) return got;
      await new Promise<void>((r) => {
        this.watchers.push(r);
        setTimeout(r, 5);
      });
    }
    throw new Error('until: never came true');
  }
  private wake(): void {
    for (const w of this.watchers.splice(0)) w();
  }

  private answer(iq: XElement): void {
    const q = iq.firstElementChild;
    const reply = (...content: XElement[]) =>
      this.events.stanza(x('iq', { xmlns: 'jabber:client', type: 'result', id: iq.attr('id') }, content));
    if (q?.namespaceURI === 'jabber:iq:roster' && iq.attr('type') === 'get') {
      reply(
        x(
          'query',
          { xmlns: 'jabber:iq:roster', ver: 'v1' },
          this.roster.map((r) =>
            x('item', { jid: r.jid, subscription: r.sub }, r.group ? x('group', {}, r.group) : null),
          ),
        ),
      );
    } else if (q?.namespaceURI === 'urn:xmpp:mam:2') this.mam(iq, q, reply);
    else if (this.refusing.has(iq.attr('to'))) this.refuse(iq);
    else if (this.clients.has(iq.attr('to'))) this.tell(iq, this.clients.get(iq.attr('to'))!);
    else reply();
    this.wake();
  }

  /** How often a device was asked what it is. */
  asked(full: string): number {
    return this.sent.filter((e) => e.attr('to') === full && e.child('query', 'http://jabber.org/protocol/disco#info'))
      .length;
  }
  private refuse(iq: XElement): void {
    this.give(
      `<iq xmlns="jabber:client" type="error" id="${iq.attr('id')}" from="${iq.attr('to')}"><error type="cancel"><service-unavailable xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error></iq>`,
    );
  }
  /** Answers a question about a client; one that says nothing keeps it open. */
  tell(iq: XElement, inner: string): void {
    if (!inner) return;
    this.give(
      `<iq xmlns="jabber:client" type="result" id="${iq.attr('id')}" from="${iq.attr('to')}"><query xmlns="http://jabber.org/protocol/disco#info">${inner}</query></iq>`,
    );
  }

  private mam(_iq: XElement, q: XElement, reply: (...c: XElement[]) => void): void {
    const set = q.child('set');
    const max = Number(set?.text('max') || 50);
    const withJid = q
      .child('x')
      ?.all('field')
      .find((f) => f.attr('var') === 'with')
      ?.text('value');
    let list = this.archive.filter((a) => !withJid || [a.from, a.to].some((j) => j.split('/')[0] === withJid));
    const after = set?.child('after')?.textContent;
    const before = set?.child('before')?.textContent;
    if (after) list = list.slice(list.findIndex((a) => a.id === after) + 1);
    if (before)
      list = list.slice(
        0,
        list.findIndex((a) => a.id === before),
      );
    const page = before !== undefined ? list.slice(-max) : list.slice(0, max);
    for (const a of page) {
      this.give(
        `<message xmlns="jabber:client" to="${this.me}/web"><result xmlns="urn:xmpp:mam:2" queryid="${q.attr('queryid')}" id="${a.id}"><forwarded xmlns="urn:xmpp:forward:0"><delay xmlns="urn:xmpp:delay" stamp="${a.stamp}"/><message xmlns="jabber:client" from="${a.from}" to="${a.to}" id="${a.msgId}" type="chat"><body>${a.body}</body><origin-id xmlns="urn:xmpp:sid:0" id="${a.msgId}"/></message></forwarded></result></message>`,
      );
    }
    reply(
      x(
        'fin',
        { xmlns: 'urn:xmpp:mam:2', complete: page.length === list.length },
        x(
          'set',
          { xmlns: 'http://jabber.org/protocol/rsm' },
          page.length ? [x('first', {}, page[0]!.id), x('last', {}, page.at(-1)!.id)] : [],
        ),
      ),
    );
  }
}
