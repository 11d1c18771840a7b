import { describe, expect, it } from 'vitest';
import type { Msg } from '../im/types.ts';
import { merge, rows } from './timeline.ts';

const noon = new Date(2026, 10, 23, 12).getTime();
const msg = (key: string, dir: 'in' | 'out', ts: number): Msg => ({
  key,
  peer: 'b',
  dir,
  body: key,
  ts,
  id: key,
  archiveId: '',
});
const shape = (msgs: Msg[], divider = 0, complete = true) =>
  rows(msgs, divider, complete).map((r) =>
    r.kind === 'msg' ? `${r.first ? '[' : ''}${r.key}${r.last ? ']' : ''}` : r.kind,
  );

describe('rows', () => {
  it('groups one person within five minutes', () => {
    const list = [
      msg('a', 'in', noon),
      msg('b', 'in', noon + 1000),
      msg('c', 'out', noon + 2000),
      msg('d', 'in', noon + 3000),
      msg('e', 'in', noon + 400_000),
    ];
    expect(shape(list)).toEqual(['start', 'day', '[a', 'b]', '[c]', '[d]', '[e]']);
  });
  it('divides days, and groups do not cross midnight', () => {
    const midnight = new Date(2026, 10, 24).getTime();
    expect(shape([msg('a', 'in', midnight - 1000), msg('b', 'in', midnight + 1000)])).toEqual([
      'start',
      'day',
      '[a]',
      'day',
      '[b]',
    ]);
  });
  it('puts the unread divider before the first message of the other side after the read position', () => {
    const list = [msg('a', 'in', noon), msg('b', 'out', noon + 1), msg('c', 'in', noon + 2), msg('d', 'in', noon + 3)];
    expect(shape(list, noon)).toEqual(['start', 'day', '[a]', '[b]', 'unread', '[c', 'd]']);
    expect(shape(list, noon + 3)).not.toContain('unread');
  });
  it('shows no day above the first message while older ones may follow', () => {
    expect(shape([msg('a', 'in', noon)], 0, false)).toEqual(['[a]']);
  });
  it('keys stay the same when a page comes in above: the reader keeps the place', () => {
    const late = [msg('c', 'in', noon + 600_000), msg('d', 'in', noon + 600_001)];
    const before = rows(late, 0, false).map((r) => r.key);
    const after = rows([msg('a', 'in', noon), ...late], 0, false).map((r) => r.key);
    expect(after.slice(-before.length)).toEqual(before);
  });
});

describe('merge', () => {
  it('replaces by key and keeps the order of time', () => {
    const list = [msg('a', 'in', 1), msg('b', 'out', 2)];
    const moved = { ...msg('b', 'out', 9), status: 'archived' as const };
    expect(merge(list, [moved, msg('c', 'in', 5)]).map((m) => m.key)).toEqual(['a', 'c', 'b']);
  });
});
