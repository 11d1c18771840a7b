/**
 * Messages coming in, live or out of the archive: stored once, whatever number of times and ways
 * they arrive (live, carbon, catch-up, page, a re-sent copy).
 */
import { bare } from '../xmpp/jid.ts';
import { displayedMessage, type ParsedMessage, parseMessage, receiptMessage } from '../xmpp/xep/message.ts';
import type { XElement } from '../xmpp/xml.ts';
import { Convs } from './convs.ts';
import type { Ctx } from './ctx.ts';
import type { Conv, Msg, Status } from './types.ts';

/**
 * live: now, over the stream. catchup: missed while away, new to the person. first: the archive's
 * last page on a browser's first sign-in. older: paging back.
 */
export type Source = 'live' | 'catchup' | 'first' | 'older';

export interface Arrival {
  el: XElement;
  archiveId: string;
  stamp: number;
  carbon: boolean;
}

const RANK: Record<Status, number> = { failed: 0, pending: 0, archived: 1, delivered: 2, read: 3 };
const FIRST_UNREAD_AGE = 7 * 86_400_000;

/** One batch: what it read, changed and must write. */
interface Batch {
  source: Source;
  msgs: Map<string, Msg>;
  convs: Map<string, Conv>;
  fresh: Msg[];
}

export class Messages {
  constructor(private ctx: Ctx) {}

  /** Takes arrivals in their order, writes them in one transaction, then tells the tabs. */
  async ingest(arrivals: Arrival[], source: Source): Promise<void> {
    const batch: Batch = { source, msgs: new Map(), convs: new Map(), fresh: [] };
    for (const a of arrivals) await this.one(a, batch);
    if (!batch.msgs.size && !batch.convs.size) return;
    await this.ctx.db.put([...batch.msgs.values()], [...batch.convs.values()]);
    const all = [...batch.msgs.values()];
    for (const peer of new Set(all.map((m) => m.peer))) {
      this.ctx.emit({ t: 'msgs', peer, msgs: all.filter((m) => m.peer === peer) });
    }
    for (const conv of batch.convs.values())
      this.ctx.convs.set({ ...conv, draft: this.ctx.convs.get(conv.peer).draft });
    for (const msg of batch.fresh) await this.seen(msg);
  }

  private async one(a: Arrival, batch: Batch): Promise<void> {
    const p = parseMessage(a.el, this.ctx.self());
    if (p.type === 'groupchat' || p.type === 'error') return;
    const own = this.ctx.account;
    const dir = bare(p.from) === own ? 'out' : 'in';
    const peer = bare(dir === 'out' ? p.to : p.from);
    await this.marks(p, dir, peer, batch);
    if (!p.body) return;
    const archiveId = a.archiveId || p.archiveId;
    const known = await this.known(p, dir, peer, archiveId, a.stamp || p.stamp, batch);
    if (known) {
      const status = known.dir === 'out' ? atLeast(known.status, 'archived') : known.status;
      if ((archiveId && known.archiveId !== archiveId) || status !== known.status) {
        batch.msgs.set(known.key, { ...known, archiveId: archiveId || known.archiveId, status });
      }
      return;
    }
    this.add(p, dir, peer, archiveId, a, batch);
  }

  private add(p: ParsedMessage, dir: 'in' | 'out', peer: string, archiveId: string, a: Arrival, batch: Batch): void {
    const conv = batch.convs.get(peer) ?? this.ctx.convs.get(peer);
    const id = p.originId || p.id;
    const now = this.ctx.now();
    // Live ones keep the order of arrival, whatever the clocks say.
    const ts = a.stamp || p.stamp || (batch.source === 'live' ? Math.max(now, conv.lastTs + 0.001) : now);
    // An id that is not our archive's is the sender's choice: it takes no place but in their own conversation.
    const own = archiveId || (dir === 'out' ? id : id && `${peer} ${id}`);
    const msg: Msg = {
      key: `${dir === 'out' ? 'o' : 'i'}:${own || this.ctx.newId()}`,
      peer,
      dir,
      body: p.body,
      ts,
      id: dir === 'out' ? id : p.id || id,
      archiveId,
      ...(dir === 'out' ? { status: 'archived' as const } : { markable: p.markable }),
    };
    batch.msgs.set(msg.key, msg);
    const next = Convs.apply(conv, msg, this.counts(msg, batch.source));
    if (dir === 'in' && batch.source === 'live' && this.ctx.watching(peer)) {
      next.readTs = ts;
      next.unread = 0;
    }
    batch.convs.set(peer, next);
    if (dir === 'in' && (batch.source === 'live' || batch.source === 'catchup') && !a.carbon) {
      batch.fresh.push(msg);
      if (p.wantsReceipt && p.id) {
        // XEP-0184 §5.3: to the full JID that asked.
        this.ctx.send(receiptMessage(p.from, p.id, this.ctx.newId()));
      }
    }
  }

  private counts(msg: Msg, source: Source): boolean {
    if (source === 'older') return false;
    // A new browser has no idea what was read elsewhere: only what is recent and unanswered counts.
    return source !== 'first' || msg.ts > this.ctx.now() - FIRST_UNREAD_AGE;
  }

  /**
   * The message we already have, if this is one. An archive id is proof; an origin-id is, from the
   * same sender; a bare stanza id is not (simple clients count 1, 2, 3 in every session), it takes
   * the same text at about the same time and a copy whose archive id is not known yet.
   */
  private async known(
    p: ParsedMessage,
    dir: 'in' | 'out',
    peer: string,
    archiveId: string,
    stamp: number,
    batch: Batch,
  ) {
    for (const m of batch.msgs.values()) {
      if (
        m.peer === peer &&
        m.dir === dir &&
        ((archiveId && m.archiveId === archiveId) || (p.originId && m.id === p.originId))
      ) {
        return m;
      }
    }
    const byArchive = archiveId ? await this.ctx.db.byArchiveId(archiveId) : undefined;
    if (byArchive) return batch.msgs.get(byArchive.key) ?? byArchive;
    const byId = p.id || p.originId ? await this.ctx.db.byId(peer, dir, p.originId || p.id) : undefined;
    if (!byId) return undefined;
    if (p.originId) return batch.msgs.get(byId.key) ?? byId;
    const near = Math.abs((stamp || this.ctx.now()) - byId.ts) < 300_000;
    return !byId.archiveId && near && byId.body === p.body ? (batch.msgs.get(byId.key) ?? byId) : undefined;
  }

  /** Receipts and markers about messages. */
  private async marks(p: ParsedMessage, dir: 'in' | 'out', peer: string, batch: Batch): Promise<void> {
    if (dir === 'in' && p.received) await this.raise(peer, p.received, 'delivered', batch);
    if (dir === 'in' && p.displayed) await this.raise(peer, p.displayed, 'read', batch);
    if (dir === 'out' && p.displayed) {
      // Another device of ours displayed it.
      const msg = await this.ctx.db.byId(peer, 'in', p.displayed);
      const conv = batch.convs.get(peer) ?? this.ctx.convs.get(peer);
      if (msg && msg.ts > conv.readTs) {
        batch.convs.set(peer, {
          ...conv,
          readTs: msg.ts,
          unread: msg.ts >= conv.lastTs ? 0 : conv.unread,
          displayedId: p.displayed,
        });
      }
    }
  }

  private async raise(peer: string, id: string, to: Status, batch: Batch): Promise<void> {
    const msg = await this.ctx.db.byId(peer, 'out', id);
    if (!msg) return;
    const cur = batch.msgs.get(msg.key) ?? msg;
    const status = atLeast(cur.status, to);
    if (status !== cur.status) batch.msgs.set(cur.key, { ...cur, status });
    if (to !== 'read') return;
    // XEP-0333 §4.1: displaying one means that all before it were.
    for (const before of await this.ctx.db.page(peer, msg, 50)) {
      const b = batch.msgs.get(before.key) ?? before;
      if (b.dir === 'out' && (b.status === 'archived' || b.status === 'delivered'))
        batch.msgs.set(b.key, { ...b, status: 'read' });
    }
  }

  private async seen(msg: Msg): Promise<void> {
    if (this.ctx.watching(msg.peer)) await this.read(msg.peer);
    else this.ctx.emit({ t: 'incoming', msg, name: msg.peer });
  }

  /** Everything in the conversation is read now; the other side is told once (XEP-0333). */
  async read(peer: string): Promise<void> {
    const conv = this.ctx.convs.get(peer);
    const last = (await this.ctx.db.page(peer, null, 20)).findLast((m) => m.dir === 'in');
    const patch: Partial<Conv> = {};
    if (conv.unread) patch.unread = 0;
    if (conv.lastTs > conv.readTs) patch.readTs = conv.lastTs;
    if (last?.markable && last.id && last.id !== conv.displayedId && last.ts > this.ctx.now() - 30 * 86_400_000) {
      if (this.ctx.send(displayedMessage(peer, last.id, this.ctx.newId()))) patch.displayedId = last.id;
    }
    if (Object.keys(patch).length) await this.ctx.convs.save(peer, patch);
  }
}

/** Ticks only ever go forward. */
export function atLeast(have: Status | undefined, to: Status): Status {
  return RANK[have ?? 'pending'] >= RANK[to] ? (have ?? to) : to;
}
