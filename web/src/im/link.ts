/**
 * Keeping a stream up: a token, a socket, a resume or a fresh bind; and again, with growing pauses,
 * when it breaks. Strophe has no reconnection of its own.
 */
import type { OfflineReason, Transport } from '../xmpp/stream.ts';
import type { Link as LinkState } from './types.ts';

export interface Token {
  jid: string;
  token: string;
  /** ms since 1970 by our clock. */
  expires: number;
}
export type FetchToken = () => Promise<Token | 'no-session'>;

export interface LinkOptions {
  transport: () => Transport;
  fetchToken: FetchToken;
  url: string;
  /** The full JID to ask for. */
  jid: () => string;
  newResource: () => void;
  changed: (s: LinkState) => void;
  noSession: () => void;
  now: () => number;
}

const FIRST_PAUSE = 300;
const LONGEST_PAUSE = 30_000;
/** A token must live long enough to be presented. */
const TOKEN_SLACK = 20_000;
const QUIET_PROBE = 30_000;

export class Link {
  private token: Token | null = null;
  private pause = FIRST_PAUSE;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private prober: ReturnType<typeof setInterval> | undefined;
  private running = false;
  /** One attempt at a time; an older one that wakes up late sees that its number has passed. */
  private attempt = 0;
  state: LinkState = { state: 'connecting', since: 0 };

  constructor(private opt: LinkOptions) {}

  start(token: Token | null): void {
    if (token) this.token = token;
    if (this.running) return;
    this.running = true;
    this.set('connecting');
    void this.connect();
  }
  stop(): void {
    this.running = false;
    this.attempt++;
    this.token = null;
    clearTimeout(this.timer);
    clearInterval(this.prober);
  }

  /** The network came back, a tab became visible, somebody pressed "try now". */
  kick(): void {
    if (!this.running) return;
    if (this.state.state === 'online') {
      this.opt.transport().probe();
      return;
    }
    if (this.state.state === 'replaced') return;
    this.pause = FIRST_PAUSE;
    if (this.timer) {
      clearTimeout(this.timer);
      this.timer = undefined;
      void this.connect();
    }
  }
  /** After another session took our place only a person may take it back. */
  takeBack(): void {
    if (this.state.state !== 'replaced') return;
    this.set('connecting');
    void this.connect();
  }

  online(): void {
    this.pause = FIRST_PAUSE;
    this.set('online');
    clearInterval(this.prober);
    this.prober = setInterval(() => this.opt.transport().probe(), QUIET_PROBE);
  }
  offline(reason: OfflineReason): void {
    clearInterval(this.prober);
    if (!this.running) return;
    if (reason === 'conflict') {
      this.set('replaced');
      return;
    }
    if (reason === 'taken') this.opt.newResource();
    if (reason === 'auth') this.token = null;
    this.set('waiting');
    this.again();
  }

  private again(): void {
    clearTimeout(this.timer);
    const pause = this.pause * (0.75 + Math.random() / 2);
    this.pause = Math.min(this.pause * 2, LONGEST_PAUSE);
    this.timer = setTimeout(() => {
      this.timer = undefined;
      void this.connect();
    }, pause);
  }

  private async connect(): Promise<void> {
    const mine = ++this.attempt;
    const fresh = this.token && this.token.expires - TOKEN_SLACK > this.opt.now();
    if (!fresh) {
      try {
        const got = await this.opt.fetchToken();
        if (mine !== this.attempt) return;
        if (got === 'no-session') {
          this.stop();
          this.opt.noSession();
          return;
        }
        this.token = got;
      } catch {
        if (mine !== this.attempt) return;
        this.set('waiting'); // no network, or the server is being restarted
        this.again();
        return;
      }
    }
    this.opt.transport().connect(this.opt.url, this.opt.jid(), this.token!.token);
  }

  private set(state: LinkState['state']): void {
    if (this.state.state === state) return;
    this.state = { state, since: this.opt.now() };
    this.opt.changed(this.state);
  }
}
