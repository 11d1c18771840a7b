/**
 * Messages going out. Each gets its id once and is on disk before it is on the wire; whatever
 * happens then (reload, crash, lost session), it is sent again with the same id until the server
 * acknowledges it. The server stores one origin-id of one sender once, so that nothing doubles.
 */

import { stanzaError } from '../xmpp/iq.ts';
import { bare } from '../xmpp/jid.ts';
import { chatMessage } from '../xmpp/xep/message.ts';
import type { XElement } from '../xmpp/xml.ts';
import { Convs } from './convs.ts';
import type { Ctx } from './ctx.ts';
import { atLeast } from './messages.ts';
import type { Msg } from './types.ts';

/** From this delay on a message stands where the server put it, not where it was typed. */
const LATE = 3_000;

export class Outbox {
  /** Ids handed to the session that is alive now; the session itself repeats them (XEP-0198). */
  private inflight = new Set<string>();
  constructor(private ctx: Ctx) {}

  async send(peer: string, body: string, id: string): Promise<Msg> {
    const conv = this.ctx.convs.get(peer);
    const msg: Msg = {
      key: `o:${id}`,
      peer,
      dir: 'out',
      body,
      ts: Math.max(this.ctx.now(), conv.lastTs + 0.001),
      id,
      archiveId: '',
      status: 'pending',
    };
    this.ctx.emit({ t: 'msgs', peer, msgs: [msg] }); // the bubble does not wait for the disk
    const next = { ...Convs.apply(conv, msg, false), draft: '' };
    this.ctx.convs.set(next);
    await this.ctx.db.put([msg], [next]);
    this.transmit(msg);
    return msg;
  }

  async retry(key: string): Promise<void> {
    const old = await this.ctx.db.msg(key);
    if (old?.dir !== 'out' || old.status !== 'failed') return;
    const msg: Msg = {
      ...old,
      status: 'pending',
      error: undefined,
      ts: Math.max(this.ctx.now(), this.ctx.convs.get(old.peer).lastTs + 0.001),
    };
    await this.write(msg);
    this.transmit(msg);
  }

  /** A stream is there. After a resume the old session's messages are still its business. */
  async online(resumed: boolean): Promise<void> {
    if (!resumed) this.inflight.clear();
    for (const msg of await this.ctx.db.pending()) {
      if (!this.inflight.has(msg.id)) this.transmit(msg);
    }
  }

  private transmit(msg: Msg): void {
    if (!this.ctx.online() || this.inflight.has(msg.id)) return;
    if (this.ctx.send(chatMessage(msg.peer, msg.id, msg.body))) this.inflight.add(msg.id);
  }

  async acked(ids: string[]): Promise<void> {
    for (const id of ids) {
      this.inflight.delete(id);
      const msg = await this.ctx.db.msg(`o:${id}`);
      if (msg?.status !== 'pending') continue;
      const now = this.ctx.now();
      await this.write({ ...msg, status: 'archived', ts: now - msg.ts > LATE ? Math.max(now, msg.ts) : msg.ts });
    }
  }

  /** Is this error about a message of ours? Then it failed, unless we know that it got through. */
  async refused(el: XElement): Promise<void> {
    const msg = await this.ctx.db.msg(`o:${el.attr('id')}`);
    // Only the server or the one it was for can say so.
    const from = bare(el.attr('from'));
    if (!msg || (from !== msg.peer && from !== '' && from !== this.ctx.account)) return;
    if (atLeast(msg.status, 'delivered') === msg.status) return;
    this.inflight.delete(msg.id);
    await this.write({ ...msg, status: 'failed', error: stanzaError(el).condition });
  }

  private async write(msg: Msg): Promise<void> {
    const conv = Convs.apply(this.ctx.convs.get(msg.peer), msg, false);
    await this.ctx.db.put([msg], [conv]);
    this.ctx.emit({ t: 'msgs', peer: msg.peer, msgs: [msg] });
    this.ctx.convs.set(conv);
  }
}
