/** Words for states that several components say. */
import type { Presence, Show, Status } from '../im/types.ts';
import * as m from '../paraglide/messages.js';

const SHOW: Record<Show, () => string> = {
  available: m.show_available,
  away: m.show_away,
  xa: m.show_xa,
  dnd: m.show_dnd,
  offline: m.show_offline,
};
export const showText = (show: Show): string => SHOW[show]();

export function presenceText(p: Presence): string {
  return p.mobile && p.show !== 'offline' ? `${showText(p.show)}, ${m.mobile()}` : showText(p.show);
}

const TICK: Record<Status, () => string> = {
  pending: m.tick_pending,
  archived: m.tick_archived,
  delivered: m.tick_delivered,
  read: m.tick_read,
  failed: m.tick_failed,
};
export const tickText = (s: Status): string => TICK[s]();

/** RFC 6120 §8.3.3 conditions, as far as a person can do something about them. */
export function failText(condition: string): string {
  if (['recipient-unavailable', 'remote-server-timeout', 'remote-server-not-found', 'gone'].includes(condition))
    return m.reason_offline();
  if (['not-allowed', 'forbidden', 'policy-violation', 'not-acceptable'].includes(condition)) return m.reason_blocked();
  if (['item-not-found', 'service-unavailable', 'jid-malformed'].includes(condition)) return m.reason_unknown_person();
  return m.reason_other({ condition });
}
