/** What the screen shows: the core's snapshot and deltas, as Svelte state. */
import { SvelteMap, SvelteSet } from 'svelte/reactivity';
import type { Token } from '../im/link.ts';
import type { Conv, Delta, Link, Msg, Presence, Request, RosterItem, Self, Snapshot } from '../im/types.ts';
import { newConv } from '../im/types.ts';
import * as prefs from '../platform/prefs.ts';
import { Remote } from '../platform/remote.ts';
import { Conversation } from './conversation.svelte.ts';
import { nameOf } from './names.ts';

export const OFFLINE: Presence = { show: 'offline', status: '', mobile: false };
/** Nothing is said about a connection that is back before this. */
const CALM = 2_000;
const KEEP_OPEN = 12;

export type Panel = 'switcher' | 'shortcuts' | 'add' | null;

export class App {
  ready = $state(false);
  self: Self = $state({ jid: '', show: 'available', status: '' });
  link: Link = $state({ state: 'connecting', since: 0 });
  /** True once the connection has been away for long enough to be worth a word. */
  away = $state(false);
  readonly roster = new SvelteMap<string, RosterItem>();
  readonly presence = new SvelteMap<string, Presence>();
  readonly convs = new SvelteMap<string, Conv>();
  readonly typing = new SvelteSet<string>();
  requests: Request[] = $state.raw([]);
  active: string | null = $state(null);
  panel: Panel = $state(null);
  /** On a phone the list and the conversation share one column. */
  showDetails = $state(false);
  unread = $derived([...this.convs.values()].reduce((n, c) => n + c.unread, 0));
  readonly remote: Remote;
  onIncoming: (msg: Msg) => void = () => {};
  private open = new Map<string, Conversation>();
  private awayTimer: ReturnType<typeof setTimeout> | undefined;
  private attached = '';
  private atEnd = true;

  constructor(private signedOut: () => void) {
    this.remote = new Remote({ snapshot: (s) => this.load(s), delta: (d) => this.apply(d) });
  }

  attach(account: string, token: Token | null): void {
    this.attached = account;
    this.self = { ...this.self, jid: account };
    this.remote.hello(account, token);
  }
  /** Back out of the browser's page cache: the host thinks we left. */
  attachAgain(): void {
    if (this.attached) this.remote.hello(this.attached, null);
  }

  dispose(): void {
    clearTimeout(this.awayTimer);
    this.remote.dispose();
  }

  private load(s: Snapshot): void {
    this.self = s.self;
    this.setLink(s.link);
    replace(
      this.roster,
      s.roster.map((r) => [r.jid, r]),
    );
    replace(this.presence, s.presence);
    replace(
      this.convs,
      s.convs.map((c) => [c.peer, c]),
    );
    this.typing.clear();
    for (const jid of s.typing) this.typing.add(jid);
    this.requests = s.requests;
    if (!this.ready) {
      this.ready = true;
      const last = prefs.lastPeer.get();
      if (last && matchMedia('(min-width: 720px)').matches) this.select(last);
    }
  }

  private apply(d: Delta): void {
    switch (d.t) {
      case 'self':
        this.self = d.self;
        return;
      case 'link':
        this.setLink(d.link);
        return;
      case 'roster':
        replace(
          this.roster,
          d.roster.map((r) => [r.jid, r]),
        );
        return;
      case 'presence':
        this.presence.set(d.jid, d.presence);
        return;
      case 'conv':
        this.convs.set(d.conv.peer, d.conv);
        return;
      case 'msgs':
        this.noticeUnread(d.peer, d.msgs);
        this.open.get(d.peer)?.apply(d.msgs);
        return;
      case 'requests':
        this.requests = d.requests;
        return;
      case 'typing':
        if (d.on) this.typing.add(d.jid);
        else this.typing.delete(d.jid);
        return;
      case 'incoming':
        this.onIncoming(d.msg);
        return;
      case 'signedOut':
        // Another tab may have signed in as somebody else: that is not ours to forget.
        if (prefs.account.get() === this.attached) prefs.account.set(null);
        this.signedOut();
    }
  }

  /** Where new messages begin, for a conversation that is open but not being read at its end. */
  private noticeUnread(peer: string, msgs: Msg[]): void {
    const open = this.open.get(peer);
    if (!open?.loaded) return;
    const last = open.msgs.at(-1)?.ts ?? 0;
    const fresh = msgs.filter((m) => m.dir === 'in' && m.ts > last && !open.msgs.some((k) => k.key === m.key));
    if (!fresh.length) {
      if (msgs.some((m) => m.dir === 'out' && m.status === 'pending' && m.ts > last)) open.divider = 0; // answering has read it all
      return;
    }
    const reading = this.active === peer && this.atEnd && document.visibilityState === 'visible';
    if (reading) return;
    if (!open.divider) open.divider = last || 1;
    if (this.active === peer) open.behind += fresh.length;
  }

  private setLink(link: Link): void {
    this.link = link;
    clearTimeout(this.awayTimer);
    if (link.state === 'online') this.away = false;
    else if (link.state === 'replaced') this.away = true;
    else this.awayTimer = setTimeout(() => (this.away = true), CALM);
  }

  // -- conversations ---------------------------------------------------------------------

  conv(peer: string): Conv {
    return this.convs.get(peer) ?? newConv(peer);
  }
  name(jid: string): string {
    return nameOf(jid, this.roster.get(jid));
  }
  presenceOf(jid: string): Presence {
    return this.presence.get(jid) ?? OFFLINE;
  }
  conversation(peer: string): Conversation {
    let c = this.open.get(peer);
    if (!c) {
      c = new Conversation(peer, this.remote);
      this.open.set(peer, c);
      if (this.open.size > KEEP_OPEN) {
        const oldest = [...this.open.keys()].find((k) => k !== this.active && k !== peer);
        if (oldest) this.open.delete(oldest);
      }
    }
    return c;
  }

  select(peer: string | null): void {
    if (this.active === peer) return;
    const left = this.active && this.open.get(this.active);
    if (left) left.divider = 0; // it was read
    this.active = peer;
    this.showDetails = false;
    prefs.lastPeer.set(peer);
    if (!peer) {
      this.remote.look(null);
      return;
    }
    const c = this.conversation(peer);
    this.open.delete(peer);
    this.open.set(peer, c); // most recently used last
    const conv = this.conv(peer);
    if (conv.unread) c.divider = conv.readTs || 1;
    c.behind = 0;
    this.atEnd = c.place === null;
    void c.open().then(() => this.look());
  }

  /** The list tells whether its end is on the screen. */
  setAtEnd(atEnd: boolean): void {
    const c = this.active ? this.open.get(this.active) : undefined;
    if (c && atEnd) c.behind = 0;
    if (this.atEnd === atEnd) return;
    this.atEnd = atEnd;
    this.look();
  }

  /** Tells the core what is being read; called whenever that may have changed. */
  look(): void {
    const visible = document.visibilityState === 'visible' && document.hasFocus();
    const loaded = this.active ? this.open.get(this.active)?.loaded : false;
    this.remote.look(visible && loaded && this.atEnd ? this.active : null);
  }
}

function replace<K, V>(map: SvelteMap<K, V>, entries: [K, V][]): void {
  const keep = new Set(entries.map(([k]) => k));
  for (const k of [...map.keys()]) if (!keep.has(k)) map.delete(k);
  for (const [k, v] of entries) map.set(k, v);
}
