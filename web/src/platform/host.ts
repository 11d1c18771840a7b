/**
 * The one client of this browser and the tabs attached to it. Runs in the shared worker; in the
 * page itself where a browser has none.
 */
import { Client } from '../im/client.ts';
import type { Db } from '../im/db.ts';
import type { FetchToken, Token } from '../im/link.ts';
import type { Delta } from '../im/types.ts';
import { StanzaError } from '../xmpp/iq.ts';
import type { StreamEvents, Transport } from '../xmpp/stream.ts';
import type { ToHost, ToTab } from './protocol.ts';

/** A reload is over in well under this; who closed the last tab is gone for the others after it. */
const GRACE = 6_000;
/** A tab that does not answer for so long crashed: it said no goodbye. */
const TAB_LIMIT = 90_000;
const TAB_PING = 30_000;

export interface HostOptions {
  openDb: (account: string) => Promise<Db>;
  dropDb: (account: string) => Promise<void>;
  fetchToken: FetchToken;
  logout: () => Promise<void>;
  transport: (events: StreamEvents) => Transport;
  url: string;
  now: () => number;
}

interface Tab {
  id: string;
  visible: boolean;
  seen: number;
}

export class Host {
  private tabs = new Map<MessagePort, Tab>();
  private client: Client | null = null;
  private account = '';
  private db: Db | null = null;
  private grace: ReturnType<typeof setTimeout> | undefined;
  private opening: Promise<void> = Promise.resolve();

  constructor(private opt: HostOptions) {
    setInterval(() => this.sweep(), TAB_PING);
  }

  connect(port: MessagePort): void {
    port.onmessage = (e: MessageEvent<ToHost>) => void this.hear(port, e.data);
    port.start();
  }

  private async hear(port: MessagePort, msg: ToHost): Promise<void> {
    const tab = this.tabs.get(port);
    if (tab) tab.seen = Date.now();
    switch (msg.t) {
      case 'hello':
        clearTimeout(this.grace);
        this.opening = this.opening.then(() => this.hello(port, msg.tab, msg.account, msg.token));
        return this.opening;
      case 'call':
        return this.call(port, msg.n, msg.m, msg.a);
      case 'look':
        if (!tab) return;
        tab.visible = msg.visible;
        this.client?.look(tab.id, msg.peer);
        return;
      case 'signOut':
        return this.signOut();
      case 'bye':
        return this.leave(port);
      case 'pong':
        return;
    }
  }

  private async hello(port: MessagePort, id: string, account: string, token: Token | null): Promise<void> {
    if (this.client && this.account !== account) await this.end({ t: 'signedOut' });
    this.tabs.set(port, { id, visible: true, seen: Date.now() });
    if (!this.client) {
      this.account = account;
      this.db = await this.opt.openDb(account);
      this.client = new Client({
        account,
        db: this.db,
        url: this.opt.url,
        transport: this.opt.transport,
        fetchToken: async () => {
          const got = await this.opt.fetchToken();
          // The cookie may belong to somebody else by now: never mix two people's archives.
          return got !== 'no-session' && got.jid !== account ? 'no-session' : got;
        },
        emit: (d) => this.emit(d),
        now: this.opt.now,
      });
    }
    const client = this.client;
    const snapshot = await client.snapshot();
    this.post(port, { t: 'snapshot', snapshot });
    client.start(token);
  }

  private emit(d: Delta): void {
    if (d.t === 'incoming') {
      // One notification for one message: by one tab, and only if nobody is looking anyway.
      const [port] = [...this.tabs].sort((a, b) => Number(b[1].visible) - Number(a[1].visible))[0] ?? [];
      if (port) this.post(port, { t: 'delta', d });
      return;
    }
    if (d.t === 'signedOut') {
      void this.end(d);
      return;
    }
    for (const port of this.tabs.keys()) this.post(port, { t: 'delta', d });
  }

  private async call(port: MessagePort, n: number, m: string, a: unknown[]): Promise<void> {
    try {
      if (!this.client) throw new StanzaError('not-connected', 'wait', '');
      const fn = (this.client as unknown as Record<string, (...args: unknown[]) => unknown>)[m];
      const v = await fn!.apply(this.client, a);
      this.post(port, { t: 'result', n, ok: true, v });
    } catch (err) {
      this.post(port, {
        t: 'result',
        n,
        ok: false,
        condition: err instanceof StanzaError ? err.condition : 'internal',
      });
      if (!(err instanceof StanzaError)) console.error(`host: ${m}`, err);
    }
  }

  private async signOut(): Promise<void> {
    const account = this.account;
    await this.end({ t: 'signedOut' });
    await this.opt.logout();
    if (account) await this.opt.dropDb(account);
  }

  /** Ends the session and tells every tab so. */
  private async end(d: Delta): Promise<void> {
    this.client?.close();
    this.client = null;
    this.db?.close();
    this.db = null;
    this.account = '';
    for (const port of this.tabs.keys()) this.post(port, { t: 'delta', d });
    this.tabs.clear();
  }

  private leave(port: MessagePort): void {
    const tab = this.tabs.get(port);
    if (!tab) return;
    this.tabs.delete(port);
    this.client?.look(tab.id, null);
    if (this.tabs.size) return;
    clearTimeout(this.grace);
    this.grace = setTimeout(() => {
      this.client?.close();
      this.client = null;
      this.db?.close();
      this.db = null;
      this.account = '';
    }, GRACE);
  }

  private sweep(): void {
    for (const [port, tab] of this.tabs) {
      if (Date.now() - tab.seen > TAB_LIMIT) this.leave(port);
      else this.post(port, { t: 'ping' });
    }
  }
  private post(port: MessagePort, msg: ToTab): void {
    port.postMessage(msg);
  }
}
