/** Keeping the local copy in step with the archive (XEP-0313). */
import { StanzaError } from '../xmpp/iq.ts';
import { type MamEnd, type MamQuery, mamQuery, parseMamEnd, parseMamResult } from '../xmpp/xep/mam.ts';
import type { XElement } from '../xmpp/xml.ts';
import type { Ctx } from './ctx.ts';
import type { Arrival, Messages, Source } from './messages.ts';
import type { Page } from './types.ts';

const CATCHUP_PAGE = 100;
const OLDER_PAGE = 50;

export class Archive {
  private collecting = new Map<string, Arrival[]>();
  private older = new Map<string, Promise<void>>();
  private cursor = '';
  /** Until catch-up is through, a live message must not move the cursor past the gap before it. */
  private caughtUp = false;

  constructor(
    private ctx: Ctx,
    private messages: Messages,
  ) {}

  async load(): Promise<void> {
    this.cursor = (await this.ctx.db.meta('cursor')) ?? '';
  }

  /** Takes a result of one of our queries; false if the stanza is none (or a forged one: dropped). */
  take(el: XElement): boolean {
    if (!el.child('result', 'urn:xmpp:mam:2')) return false;
    const r = parseMamResult(el, this.ctx.self());
    if (r)
      this.collecting.get(r.queryId)?.push({ el: r.message, archiveId: r.archiveId, stamp: r.stamp, carbon: false });
    return true;
  }

  async live(archiveId: string): Promise<void> {
    if (!archiveId || !this.caughtUp) return;
    this.cursor = archiveId;
    await this.ctx.db.setMeta('cursor', archiveId);
  }

  lost(): void {
    this.caughtUp = false;
  }

  /** After a fresh bind: everything after the last known id, then live. */
  async catchUp(): Promise<void> {
    this.caughtUp = false;
    if (this.cursor) {
      try {
        for (let complete = false; !complete; ) {
          const end = await this.fetch({ after: this.cursor, max: CATCHUP_PAGE }, 'catchup');
          complete = end.complete || !end.last;
          if (end.last) await this.advance(end.last);
        }
        this.caughtUp = true;
        return;
      } catch (err) {
        // XEP-0059 §2.4: the id is gone (erased by retention); what is left is at the end.
        if (!(err instanceof StanzaError) || err.condition !== 'item-not-found') throw err;
      }
    }
    const end = await this.fetch({ before: '', max: CATCHUP_PAGE }, this.cursor ? 'catchup' : 'first');
    if (end.last) await this.advance(end.last);
    this.caughtUp = true;
  }

  private async advance(id: string): Promise<void> {
    this.cursor = id;
    await this.ctx.db.setMeta('cursor', id);
  }

  private async fetch(q: Omit<MamQuery, 'queryId'>, source: Source): Promise<MamEnd & { got: Arrival[] }> {
    const queryId = this.ctx.newId();
    const got: Arrival[] = [];
    this.collecting.set(queryId, got);
    try {
      const end = parseMamEnd(await this.ctx.ask('set', mamQuery({ ...q, queryId })));
      await this.ctx.serial(() => this.messages.ingest(got, source));
      return { ...end, got };
    } finally {
      this.collecting.delete(queryId);
    }
  }

  /** A page of the conversation, older than the position; from the server where the local copy ends. */
  async page(peer: string, before: { ts: number; key: string } | null, n: number): Promise<Page> {
    let msgs = await this.ctx.db.page(peer, before, n);
    if (msgs.length < n && !this.ctx.convs.get(peer).complete && this.ctx.online()) {
      await this.fetchOlder(peer).catch((err) => {
        if (!(err instanceof StanzaError)) throw err; // offline again: what is here is here
      });
      msgs = await this.ctx.db.page(peer, before, n);
    }
    return { msgs, complete: msgs.length < n && this.ctx.convs.get(peer).complete };
  }

  /** Two tabs asking at once get the same answer. */
  private fetchOlder(peer: string): Promise<void> {
    const running = this.older.get(peer);
    if (running) return running;
    const run = this.readOlder(peer).finally(() => this.older.delete(peer));
    this.older.set(peer, run);
    return run;
  }

  private async readOlder(peer: string): Promise<void> {
    const before = this.ctx.convs.get(peer).oldestArchiveId;
    try {
      const end = await this.fetch({ with: peer, before, max: OLDER_PAGE }, 'older');
      const patch = { oldestArchiveId: end.first || before, complete: end.complete || !end.first };
      await this.ctx.serial(() => this.ctx.convs.save(peer, patch));
    } catch (err) {
      if (!(err instanceof StanzaError) || err.condition !== 'item-not-found') throw err;
      await this.ctx.serial(() => this.ctx.convs.save(peer, { complete: true }));
    }
  }
}
