/** The conversations: what the buddy list shows of each, and how far it was read. */
import type { Db } from './db.ts';
import { type Conv, type Delta, type Msg, newConv } from './types.ts';

export class Convs {
  private map = new Map<string, Conv>();

  constructor(
    private db: Db,
    private emit: (d: Delta) => void,
  ) {}

  async load(): Promise<void> {
    for (const c of await this.db.convs()) this.map.set(c.peer, c);
  }
  all(): Conv[] {
    return [...this.map.values()];
  }
  get(peer: string): Conv {
    return this.map.get(peer) ?? newConv(peer);
  }
  /** Changes the one in memory and tells the tabs; the caller writes it with what caused the change. */
  change(peer: string, patch: Partial<Conv>): Conv {
    const conv = { ...this.get(peer), ...patch };
    this.map.set(peer, conv);
    this.emit({ t: 'conv', conv });
    return conv;
  }
  async save(peer: string, patch: Partial<Conv>): Promise<void> {
    await this.db.put([], [this.change(peer, patch)]);
  }

  /** What a new message does to its conversation. */
  static apply(conv: Conv, msg: Msg, counts: boolean): Conv {
    const next = { ...conv };
    if (msg.ts >= conv.lastTs) {
      next.lastTs = msg.ts;
      next.lastBody = msg.body.slice(0, 200);
      next.lastDir = msg.dir;
    }
    if (msg.dir === 'out' && msg.ts > next.readTs) {
      next.readTs = msg.ts; // who answers has read
      next.unread = 0;
    } else if (counts && msg.dir === 'in' && msg.ts > next.readTs) {
      next.unread++;
    }
    return next;
  }
  set(conv: Conv): void {
    this.map.set(conv.peer, conv);
    this.emit({ t: 'conv', conv });
  }
}
