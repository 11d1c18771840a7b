/** How people are called, and the colour and letters that stand for them. */
import type { RosterItem } from '../im/types.ts';
import { local } from '../xmpp/jid.ts';

// HARDENING U3: a name can't turn the line around, hide in it or pile marks upon it.
const CONTROLS = /[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\u061c\u0000-\u001f\u007f-\u009f]/g;

export function cleanName(s: string): string {
  return s
    .replace(CONTROLS, '')
    .replace(/(\p{M}{3})\p{M}+/gu, '$1')
    .trim();
}

export function nameOf(jid: string, item: RosterItem | undefined): string {
  const own = cleanName(item?.name ?? '');
  if (own) return own;
  const l = cleanName(local(jid)) || jid;
  return l.charAt(0).toUpperCase() + l.slice(1);
}

export function initials(name: string): string {
  const words = name.split(/[\s._-]+/).filter(Boolean);
  const letters = words.length > 1 ? [words[0], words.at(-1)] : [words[0]];
  return letters.map((w) => [...(w ?? '?')][0]!.toUpperCase()).join('');
}

/** One of 8 hues, always the same for an address. */
export function hue(jid: string): number {
  let h = 0;
  for (const c of jid) h = (h * 31 + c.codePointAt(0)!) >>> 0;
  return h % 8;
}
