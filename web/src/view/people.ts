/** The buddy list's sections: who stands where. By name, so that nobody jumps about when presence flaps. */
import type { Conv, RosterItem } from '../im/types.ts';

export interface Group {
  /** '' = contacts without a group; null = people who are no contacts but wrote to us. */
  name: string | null;
  jids: string[];
}

interface Source {
  roster: ReadonlyMap<string, RosterItem>;
  convs: ReadonlyMap<string, Conv>;
  name(jid: string): string;
  active: string | null;
}

export function people(src: Source): Group[] {
  const groups = new Map<string, string[]>();
  for (const item of src.roster.values()) {
    for (const g of item.groups.length ? item.groups : ['']) {
      const list = groups.get(g);
      if (list) list.push(item.jid);
      else groups.set(g, [item.jid]);
    }
  }
  const others = [...src.convs.values()].filter((c) => c.lastTs && !src.roster.has(c.peer)).map((c) => c.peer);
  if (src.active && !src.roster.has(src.active) && !others.includes(src.active)) others.push(src.active);
  const byName = (a: string, b: string) => src.name(a).localeCompare(src.name(b)) || (a < b ? -1 : 1);
  const out: Group[] = [...groups]
    .sort(([a], [b]) => Number(a === '') - Number(b === '') || a.localeCompare(b))
    .map(([name, jids]) => ({ name, jids: jids.sort(byName) }));
  if (others.length) out.push({ name: null, jids: others.sort(byName) });
  return out;
}
