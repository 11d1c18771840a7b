/** One open conversation: its loaded messages, the divider, where the reader stands. */
import type { Msg, Page } from '../im/types.ts';
import type { Remote } from '../platform/remote.ts';
import { merge, rows } from './timeline.ts';

export class Conversation {
  msgs: Msg[] = $state.raw([]);
  complete = $state(false);
  loading = $state(false);
  loaded = $state(false);
  /** The unread divider's place; fixed while reading, 0 = none. */
  divider = $state(0);
  /** Messages that came while the reader was further up. */
  behind = $state(0);
  rows = $derived(rows(this.msgs, this.divider, this.complete));
  /** Set by the list on the screen: scrolls to the end. */
  toEnd: (() => void) | null = null;
  /** Where the list was when it was left: a row's key and how far it stood from the top; null = at the end. */
  place: { key: string; offset: number } | null = null;

  constructor(
    readonly peer: string,
    private remote: Remote,
  ) {}

  async open(): Promise<void> {
    if (this.loaded) return;
    const page = await this.remote.call('open', this.peer);
    this.take(page);
    this.loaded = true;
    if (page.msgs.length < 20 && !page.complete) await this.older();
  }

  async older(): Promise<void> {
    if (this.loading || this.complete) return;
    this.loading = true;
    try {
      const first = this.msgs[0];
      this.take(await this.remote.call('older', this.peer, first ? { ts: first.ts, key: first.key } : null));
    } catch {
      // the list says so itself: it stays as it is and asks again on the next scroll
    } finally {
      this.loading = false;
    }
  }

  private take(page: Page): void {
    if (page.msgs.length) this.msgs = merge(this.msgs, page.msgs);
    if (page.complete) this.complete = true;
  }

  /** Changes by the core. What is older than everything loaded comes by paging, not from here. */
  apply(changes: Msg[]): void {
    if (!this.loaded) return;
    const first = this.msgs[0];
    const fit = changes.filter(
      (m) => !first || this.complete || m.ts >= first.ts || this.msgs.some((k) => k.key === m.key),
    );
    if (fit.length) this.msgs = merge(this.msgs, fit);
  }
}
