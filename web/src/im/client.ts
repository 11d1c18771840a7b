/**
 * One account signed in: the whole messenger without a screen. It lives once per browser, in the
 * shared worker (or in the page where there is none); tabs call its methods and apply its deltas.
 */
import { newId, Requests } from '../xmpp/iq.ts';
import { bare } from '../xmpp/jid.ts';
import { NS } from '../xmpp/ns.ts';
import type { StreamEvents, Transport } from '../xmpp/stream.ts';
import { ownInfo } from '../xmpp/xep/disco.ts';
import { type ChatState, parseMessage, unwrapCarbon } from '../xmpp/xep/message.ts';
import { parsePresence, type Show } from '../xmpp/xep/presence.ts';
import { type XElement, x } from '../xmpp/xml.ts';
import { Archive } from './archive.ts';
import { Contacts } from './contacts.ts';
import { Convs } from './convs.ts';
import type { Ctx } from './ctx.ts';
import type { Db } from './db.ts';
import { type FetchToken, Link, type Token } from './link.ts';
import { Messages } from './messages.ts';
import { Outbox } from './outbox.ts';
import { Presences } from './presences.ts';
import type { Conv, Delta, Msg, Page, Snapshot } from './types.ts';
import { Typing } from './typing.ts';

export interface ClientOptions {
  account: string;
  db: Db;
  url: string;
  transport: (events: StreamEvents) => Transport;
  fetchToken: FetchToken;
  emit: (d: Delta) => void;
  now: () => number;
}

export const OPEN_PAGE = 40;
/** How long a server may take to tell who is there, before the silent ones count as gone. */
const SETTLE = 3_000;

export class Client {
  private readonly transport: Transport;
  private readonly link: Link;
  private readonly requests: Requests;
  private readonly convs: Convs;
  private readonly messages: Messages;
  private readonly outbox: Outbox;
  private readonly archive: Archive;
  private readonly contacts: Contacts;
  private readonly presences: Presences;
  private readonly typing: Typing;
  private full: string;
  private resource = '';
  private up = false;
  private begun = false;
  private chain: Promise<unknown> = Promise.resolve();
  /** Which conversation each tab has open, visible and at its end. */
  private looking = new Map<string, string>();
  readonly loaded: Promise<void>;

  constructor(private opt: ClientOptions) {
    this.full = opt.account;
    this.convs = new Convs(opt.db, opt.emit);
    this.transport = opt.transport({
      online: (jid, resumed) => this.online(jid, resumed),
      offline: (reason) => {
        this.up = false;
        this.link.offline(reason);
      },
      stanza: (el) => this.stanza(el),
      acked: (ids) => void this.serial(() => this.outbox.acked(ids)),
    });
    this.requests = new Requests(
      (el) => this.send(el),
      () => this.full,
    );
    const ctx: Ctx = {
      db: opt.db,
      convs: this.convs,
      account: opt.account,
      self: () => this.full,
      online: () => this.up,
      send: (el) => this.send(el),
      ask: (type, payload, to) => this.requests.ask(type, payload, to),
      emit: opt.emit,
      now: opt.now,
      watching: (peer) => [...this.looking.values()].includes(peer),
      newId,
      serial: (fn) => this.serial(fn),
    };
    this.messages = new Messages(ctx);
    this.outbox = new Outbox(ctx);
    this.archive = new Archive(ctx, this.messages);
    this.contacts = new Contacts(ctx);
    this.presences = new Presences(ctx);
    this.typing = new Typing(ctx);
    this.link = new Link({
      transport: () => this.transport,
      fetchToken: opt.fetchToken,
      url: opt.url,
      jid: () => `${opt.account}/${this.resource}`,
      newResource: () => {
        this.resource = `web-${newId().slice(0, 8)}`;
        void opt.db.setMeta('resource', this.resource);
      },
      changed: (link) => opt.emit({ t: 'link', link }),
      noSession: () => opt.emit({ t: 'signedOut' }),
      now: () => Date.now(),
    });
    this.loaded = this.load();
  }

  private async load(): Promise<void> {
    await Promise.all([this.convs.load(), this.contacts.load(), this.presences.load(), this.archive.load()]);
    // The same resource in every session of this browser: a session left hanging is replaced, not doubled.
    this.resource = (await this.opt.db.meta('resource')) ?? `web-${newId().slice(0, 8)}`;
    await this.opt.db.setMeta('resource', this.resource);
  }

  private serial<T>(fn: () => Promise<T>): Promise<T> {
    const run = this.chain.then(fn);
    this.chain = run.catch((err) => console.error('client: change failed', err));
    return run;
  }
  private send(el: XElement): boolean {
    return this.up && this.transport.send(el);
  }

  // -- the stream ------------------------------------------------------------------------

  private online(jid: string, resumed: boolean): void {
    this.up = true;
    this.full = jid;
    if (!resumed) {
      this.begun = false;
      this.requests.fail();
      this.presences.reset();
      this.typing.stop();
      this.archive.lost();
    }
    this.link.online();
    void this.serial(() => this.outbox.online(resumed));
    if (!this.begun) void this.begin();
  }

  /** A session that was cut off while it began, begins again when it is resumed. */
  private async begin(): Promise<void> {
    const session = this.full;
    try {
      await this.opening();
      this.begun = true;
    } catch (err) {
      if (!this.up || session !== this.full) return;
      console.error('client: start of the session failed', err);
      this.up = false;
      this.transport.drop(); // half a session is worse than a new try
      this.link.offline('lost');
    }
  }

  /** A fresh session: roster first, then presence (RFC 6121 §2.2), copies, what was missed. */
  private async opening(): Promise<void> {
    await this.contacts.fetch();
    await this.presences.announce();
    setTimeout(() => this.presences.settle(), SETTLE);
    await this.requests.ask('set', x('enable', { xmlns: NS.carbons })).catch(() => undefined);
    await this.archive.catchUp();
  }

  private stanza(el: XElement): void {
    if (el.nodeName === 'message') this.message(el);
    else if (el.nodeName === 'presence') {
      const p = parsePresence(el);
      if (p.type === '' || p.type === 'unavailable') this.presences.update(p);
      else if (p.type !== 'error') this.contacts.subscriptionStanza(p);
    } else if (el.nodeName === 'iq') this.iq(el);
  }

  private message(el: XElement): void {
    if (this.archive.take(el)) return;
    const open = unwrapCarbon(el, this.full);
    if (!open) return;
    const p = parseMessage(open.message, this.full);
    if (p.type === 'error') {
      if (!open.carbon) void this.serial(() => this.outbox.refused(el));
      return;
    }
    const mine = bare(p.from) === this.opt.account;
    if (!mine && (p.state || p.body)) this.typing.heard(bare(p.from), p.state ?? 'active');
    const arrival = { el: open.message, archiveId: p.archiveId, stamp: p.stamp, carbon: open.carbon !== null };
    void this.serial(async () => {
      await this.messages.ingest([arrival], 'live');
      await this.archive.live(p.archiveId);
    });
  }

  private iq(el: XElement): void {
    const type = el.attr('type');
    if (type === 'result' || type === 'error') {
      this.requests.answer(el);
      return;
    }
    const reply = (type: 'result' | 'error', content: XElement | null) =>
      this.send(x('iq', { xmlns: NS.client, type, id: el.attr('id'), to: el.attr('from') || undefined }, content));
    const q = el.firstElementChild;
    const refuse = () =>
      reply('error', x('error', { type: 'cancel' }, x('service-unavailable', { xmlns: NS.stanzas })));
    if (type === 'set' && q?.namespaceURI === NS.roster) {
      void this.contacts.push(el).then((ok) => ok || refuse());
    } else if (type === 'get' && q?.namespaceURI === NS.ping) reply('result', null);
    else if (type === 'get' && q?.namespaceURI === NS.discoInfo) reply('result', ownInfo(q.attr('node')));
    else if (type === 'get' && q?.namespaceURI === NS.version) {
      reply('result', x('query', { xmlns: NS.version }, x('name', {}, 'Parlance')));
    } else refuse();
  }

  // -- what tabs ask for -----------------------------------------------------------------

  start(token: Token | null): void {
    void this.loaded.then(() => this.link.start(token));
  }
  async snapshot(): Promise<Snapshot> {
    await this.loaded;
    return {
      self: this.presences.self(),
      link: this.link.state,
      roster: this.contacts.all(),
      presence: this.presences.all(),
      convs: this.convs.all(),
      requests: this.contacts.requests(),
      typing: this.typing.all(),
    };
  }
  kick(): void {
    this.link.kick();
  }
  takeBack(): void {
    this.link.takeBack();
  }
  say(peer: string, body: string, id: string): Promise<Msg> {
    this.typing.sent(peer);
    return this.serial(() => this.outbox.send(peer, body, id));
  }
  retry(key: string): Promise<void> {
    return this.serial(() => this.outbox.retry(key));
  }
  open(peer: string): Promise<Page> {
    return this.opt.db.page(peer, null, OPEN_PAGE).then((msgs) => ({
      msgs,
      complete: msgs.length < OPEN_PAGE && this.convs.get(peer).complete,
    }));
  }
  older(peer: string, before: { ts: number; key: string } | null): Promise<Page> {
    return this.archive.page(peer, before, OPEN_PAGE);
  }
  /** A tab looks at the end of a conversation, or (null) at none. */
  look(tab: string, peer: string | null): void {
    if (!peer) {
      this.looking.delete(tab);
      return;
    }
    this.looking.set(tab, peer);
    void this.serial(() => this.messages.read(peer));
  }
  markRead(peer: string): Promise<void> {
    return this.serial(() => this.messages.read(peer));
  }
  draft(peer: string, draft: string): Promise<void> {
    return this.serial(() => this.convs.save(peer, { draft } satisfies Partial<Conv>));
  }
  type(peer: string, state: ChatState): void {
    const there = this.presences.all().some(([jid, p]) => jid === peer && p.show !== 'offline');
    this.typing.tell(peer, state, there);
  }
  setPresence(show: Show, status: string): Promise<void> {
    return this.presences.set(show, status);
  }
  add(jid: string, name: string, groups: string[]): Promise<void> {
    return this.contacts.add(jid, name, groups);
  }
  accept(jid: string): Promise<void> {
    return this.contacts.accept(jid);
  }
  decline(jid: string): void {
    this.contacts.decline(jid);
  }
  rename(jid: string, name: string, groups: string[]): Promise<void> {
    return this.contacts.rename(jid, name, groups);
  }
  remove(jid: string): Promise<void> {
    return this.contacts.remove(jid);
  }
  /** The last tab is gone, or the person signs out: the session ends cleanly, contacts see it at once. */
  close(): void {
    this.up = false;
    this.link.stop();
    this.transport.close();
    this.typing.stop();
  }
}
