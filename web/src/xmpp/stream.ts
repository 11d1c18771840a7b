/**
 * One XMPP stream over WebSocket (RFC 7395) on Strophe 5, with stream management (XEP-0198).
 *
 * Strophe's own shared worker keeps the socket there but the brain in the tabs, one of them
 * "primary": every tab would parse, store and answer, and could not learn which of its messages
 * an <a/> covered. So Strophe itself runs in our worker, on the small tree of xml.ts, and tabs
 * only see finished facts. A fresh Strophe connection is made for each attempt (it never resets
 * all of its state); what must outlive it, the 0198 session, sits in the storage given to it.
 */
import './dom.ts';
import { type ConnectionOptions, type SMState, type SMStorageBackend, Strophe } from 'strophe.js';
import type { XElement } from './xml.ts';

export interface StreamEvents {
  /** resumed: the old session goes on (XEP-0198 §5), nothing was lost, nothing needs asking again. */
  online(jid: string, resumed: boolean): void;
  offline(reason: OfflineReason): void;
  stanza(el: XElement): void;
  /** The server has taken responsibility for these message ids (XEP-0198 §4): they are archived. */
  acked(ids: string[]): void;
}
/** conflict: a newer session took our resource. taken: ours was refused at binding (RFC 6120 §7.7.2.2). */
export type OfflineReason = 'lost' | 'auth' | 'conflict' | 'taken';

Strophe.setLogLevel(Strophe.LogLevel.ERROR);

/** What the messaging core needs of a stream; tests give it a scripted one. */
export interface Transport {
  connect(url: string, jid: string, token: string): void;
  send(el: XElement): boolean;
  /** Asks the server for a sign of life; a dead socket is given up after the time limit. */
  probe(): void;
  /** Ends the session for good (logout, last tab gone). */
  close(): void;
  /** Drops the socket but keeps the session resumable. */
  drop(): void;
}

const PROBE_LIMIT = 10_000;
const CONNECT_LIMIT = 20_000;

type StropheConnection = InstanceType<typeof Strophe.Connection>;

/** What Strophe keeps to itself but we need; its types know `sm` only by its common half. */
interface Internals {
  _doDisconnect(condition?: string): void;
  sm: {
    onFailed: (v: unknown, resume?: boolean) => void;
    reset(): void;
    requestAck(): void;
    serverSupported: boolean;
    enabled: boolean;
    resumed: boolean;
  };
}

export class StropheStream implements Transport {
  private conn: (StropheConnection & Internals) | null = null;
  private ready = false;
  private probeTimer: ReturnType<typeof setTimeout> | undefined;
  private connectTimer: ReturnType<typeof setTimeout> | undefined;
  private readonly session: SessionMemory;

  constructor(private events: StreamEvents) {
    this.session = new SessionMemory((ids) => this.events.acked(ids));
  }

  connect(url: string, jid: string, token: string): void {
    this.drop();
    const conn = new Strophe.Connection(url, {
      enableStreamManagement: true,
      // maxUnacked 1: the tick of every message is the server's own word for it.
      // max: a browser that was killed must not look present for long (XEP-0198 §3).
      streamManagement: { maxUnacked: 1, requestResume: true, max: 120, storage: this.session },
      mechanisms: [Strophe.SASLOAuthBearer],
    } as ConnectionOptions) as unknown as StropheConnection & Internals;
    this.conn = conn;
    conn.sm.onFailed = (_view: unknown, resumeFailed?: boolean) => {
      if (!resumeFailed) return;
      // The outbox sends again, with the same ids; Strophe would do so a second time by itself.
      conn.sm.reset();
      conn.sm.serverSupported = true;
    };
    conn.rawInput = () => this.alive();
    let reason: OfflineReason = 'lost';
    this.connectTimer = setTimeout(() => conn === this.conn && !this.ready && this.lost('lost'), CONNECT_LIMIT);
    const changed = (status: number, condition?: string | null): void => {
      if (conn !== this.conn) return; // an older attempt, already given up
      if (status === Strophe.Status.ERROR && condition === 'conflict') reason = 'conflict';
      if (status === Strophe.Status.CONNECTED) {
        clearTimeout(this.connectTimer);
        conn.addHandler(
          (el: Element) => this.inbound(el as unknown as XElement),
          null as never,
          null as never,
          null as never,
        );
        this.ready = true;
        this.events.online(conn.jid, conn.sm.resumed);
      } else if (status === Strophe.Status.AUTHFAIL) {
        this.lost(condition === 'conflict' ? 'taken' : 'auth');
      } else if (status === Strophe.Status.DISCONNECTED) {
        this.lost(reason);
      }
    };
    (conn as unknown as { connect(jid: string, pass: string, cb: typeof changed): void }).connect(jid, token, changed);
  }

  send(el: XElement): boolean {
    if (!this.conn || !this.ready) return false;
    if (el.nodeName === 'message') this.session.track(el.attr('id'));
    try {
      this.conn.send(el as unknown as Element);
    } catch {
      // A dead socket throws, but 0198 has the stanza queued already: it is on its way.
    }
    return true;
  }

  probe(): void {
    if (!this.conn || !this.ready || this.probeTimer) return;
    this.probeTimer = setTimeout(() => this.lost('lost'), PROBE_LIMIT);
    try {
      this.conn.sm.requestAck();
    } catch {
      this.lost('lost');
    }
  }

  close(): void {
    const conn = this.conn;
    this.stop();
    this.session.clear();
    conn?.disconnect();
  }

  drop(): void {
    const conn = this.conn;
    this.stop();
    conn?._doDisconnect();
  }

  private inbound(el: XElement): boolean {
    try {
      this.events.stanza(el);
    } catch (err) {
      console.error('stream: handler failed', err); // one bad stanza must not deafen us: Strophe drops a throwing handler
    }
    return true;
  }

  private alive(): void {
    clearTimeout(this.probeTimer);
    this.probeTimer = undefined;
  }

  private stop(): void {
    this.conn = null;
    this.ready = false;
    this.alive();
    clearTimeout(this.connectTimer);
  }

  private lost(reason: OfflineReason): void {
    const conn = this.conn;
    if (!conn) return;
    this.stop();
    conn._doDisconnect();
    this.events.offline(reason);
  }
}

/**
 * The 0198 session between two sockets, and the place where acknowledgements become visible:
 * Strophe has no event for "this stanza was acknowledged" but saves its state at each change.
 *
 * Memory only, on purpose: it lives as long as the worker does. A worker that starts afresh binds
 * anew and reads the archive on from the last known id, which needs no trust in a stored counter.
 */
export class SessionMemory implements SMStorageBackend {
  private state: SMState | null = null;
  private tracked = new Set<string>();
  constructor(private acked: (ids: string[]) => void) {}

  track(id: string): void {
    if (id) this.tracked.add(id);
  }
  load(): SMState | null {
    if (!this.state) this.tracked.clear();
    return this.state;
  }
  save(_key: string, state: SMState): void {
    this.state = state;
    if (!this.tracked.size || !state.enableSent) return;
    const open = new Set(state.unacked.map((q) => rootId(q.stanza)));
    const done = [...this.tracked].filter((id) => !open.has(id));
    if (!done.length) return;
    for (const id of done) this.tracked.delete(id);
    this.acked(done);
  }
  clear(): void {
    this.state = null;
    this.tracked.clear();
  }
}

function rootId(stanza: string): string {
  const head = stanza.slice(0, stanza.indexOf('>'));
  return /\sid="([^"]*)"/.exec(head)?.[1] ?? '';
}
