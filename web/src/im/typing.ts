/** Chat states (XEP-0085): who is writing to us, and telling when we do. */
import { type ChatState, stateMessage } from '../xmpp/xep/message.ts';
import type { Ctx } from './ctx.ts';

/** Nobody writes for longer than this without a sign of it. */
const FORGET = 30_000;

export class Typing {
  private timers = new Map<string, ReturnType<typeof setTimeout>>();
  private told = new Map<string, ChatState>();
  constructor(private ctx: Ctx) {}

  all(): string[] {
    return [...this.timers.keys()];
  }

  heard(peer: string, state: ChatState): void {
    const was = this.timers.has(peer);
    clearTimeout(this.timers.get(peer));
    this.timers.delete(peer);
    if (state === 'composing')
      this.timers.set(
        peer,
        setTimeout(() => this.heard(peer, 'paused'), FORGET),
      );
    const is = this.timers.has(peer);
    if (was !== is) this.ctx.emit({ t: 'typing', jid: peer, on: is });
  }

  /** Tells the other side, each change once; only to people who can hear it. */
  tell(peer: string, state: ChatState, present: boolean): void {
    if ((this.told.get(peer) ?? 'active') === state) return;
    this.told.set(peer, state);
    if (present) this.ctx.send(stateMessage(peer, state));
  }
  /** A content message says 'active' by itself. */
  sent(peer: string): void {
    this.told.set(peer, 'active');
  }
  stop(): void {
    for (const t of this.timers.values()) clearTimeout(t);
    for (const jid of [...this.timers.keys()]) {
      this.timers.delete(jid);
      this.ctx.emit({ t: 'typing', jid, on: false });
    }
    this.told.clear();
  }
}
