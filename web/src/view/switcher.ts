/** Ranking for the quick switcher: unread first, then recent, then by how well the name fits. */
export interface Entry {
  jid: string;
  name: string;
  unread: number;
  lastTs: number;
  /** The name without case and accents, made once: typing must not wait for 10,000 of these. */
  folded: string;
}

export function entry(jid: string, name: string, unread: number, lastTs: number): Entry {
  return { jid, name, unread, lastTs, folded: fold(name) };
}

function fold(s: string): string {
  return s.normalize('NFD').replace(/\p{M}/gu, '').toLowerCase();
}

/** 0 = no match. A word's beginning beats its middle, the name beats the address. */
export function score(n: string, jid: string, query: string): number {
  const at = n.indexOf(query);
  if (at === 0) return 4;
  if (at > 0 && /[\s.\-_]/.test(n[at - 1]!)) return 3;
  if (at > 0) return 2;
  return jid.includes(query) ? 1 : 0;
}

export function rank(entries: readonly Entry[], typed: string, limit = 12): Entry[] {
  const query = fold(typed.trim());
  const found: { e: Entry; s: number }[] = [];
  for (const e of entries) {
    const s = query ? score(e.folded, e.jid, query) : 1;
    if (s) found.push({ e, s });
  }
  found.sort(
    (a, b) =>
      Number(b.e.unread > 0) - Number(a.e.unread > 0) ||
      b.s - a.s ||
      b.e.lastTs - a.e.lastTs ||
      (a.e.name < b.e.name ? -1 : 1),
  );
  return found.slice(0, limit).map((f) => f.e);
}
