/** From messages to the rows of the list. Pure, so that every rule of it is a table test. */
import type { Msg } from '../im/types.ts';

export type Row =
  | { kind: 'start'; key: 'start' }
  | { kind: 'day'; key: string; ts: number }
  | { kind: 'unread'; key: 'unread' }
  | { kind: 'msg'; key: string; msg: Msg; first: boolean; last: boolean };

/** Messages of one person within this time stand together. */
const GROUP = 5 * 60_000;

export function dayOf(ts: number): number {
  const d = new Date(ts);
  return new Date(d.getFullYear(), d.getMonth(), d.getDate()).getTime();
}

function together(a: Msg | undefined, b: Msg | undefined, cut: number): boolean {
  if (!a || !b || a.dir !== b.dir || b.ts - a.ts > GROUP || dayOf(a.ts) !== dayOf(b.ts)) return false;
  return !(cut && a.ts <= cut && b.ts > cut && b.dir === 'in');
}

/**
 * @param divider the unread divider stands before the first incoming message after this time; 0 = none
 * @param complete nothing older exists: the conversation's beginning is shown
 */
export function rows(msgs: readonly Msg[], divider: number, complete: boolean): Row[] {
  const out: Row[] = complete ? [{ kind: 'start', key: 'start' }] : [];
  let day = 0;
  let divided = divider === 0;
  msgs.forEach((msg, i) => {
    const d = dayOf(msg.ts);
    if (d !== day) {
      // Not above the first one while older ones may follow: a row that stays first when a page comes in
      // above it would be taken for the reader's place, and the list would jump by that page.
      if (i > 0 || complete) out.push({ kind: 'day', key: `day:${d}`, ts: d });
      day = d;
    }
    if (!divided && msg.dir === 'in' && msg.ts > divider) {
      out.push({ kind: 'unread', key: 'unread' });
      divided = true;
    }
    out.push({
      kind: 'msg',
      key: msg.key,
      msg,
      first: !together(msgs[i - 1], msg, divider),
      last: !together(msg, msgs[i + 1], divider),
    });
  });
  return out;
}

/** Puts changed and new messages into a sorted list; the same list if nothing changed. */
export function merge(list: readonly Msg[], changes: readonly Msg[]): Msg[] {
  const byKey = new Map(changes.map((m) => [m.key, m]));
  const kept = list.filter((m) => !byKey.has(m.key));
  return [...kept, ...byKey.values()].sort((a, b) => a.ts - b.ts || (a.key < b.key ? -1 : 1));
}
