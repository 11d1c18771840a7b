/** A message's text in parts: plain, and links to the web. Nothing else is ever turned into a link. */
export type Part = { t: 'text'; s: string } | { t: 'link'; s: string; href: string };

const URL_START = /\bhttps?:\/\/[^\s<>"'`]+/gi;

export function parts(body: string): Part[] {
  const out: Part[] = [];
  let pos = 0;
  for (const hit of body.matchAll(URL_START)) {
    let s = hit[0].replace(/[.,;:!?…]+$/, '');
    // A bracket that was opened before the link closes after it.
    while (/[)\]}]$/.test(s) && count(s, s.at(-1)!) > count(s, OPEN[s.at(-1)!]!)) s = s.slice(0, -1);
    const href = safe(s);
    if (!href) continue;
    if (hit.index > pos) out.push({ t: 'text', s: body.slice(pos, hit.index) });
    out.push({ t: 'link', s, href });
    pos = hit.index + s.length;
  }
  if (pos < body.length) out.push({ t: 'text', s: body.slice(pos) });
  return out;
}

const OPEN: Record<string, string> = { ')': '(', ']': '[', '}': '{' };

function count(s: string, c: string): number {
  return s.split(c).length - 1;
}
function safe(s: string): string {
  try {
    const u = new URL(s);
    return u.protocol === 'http:' || u.protocol === 'https:' ? u.href : '';
  } catch {
    return '';
  }
}
