/** Times as people say them, in the browser's language. */
import { dayOf } from './timeline.ts';

const clockFormat = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });
const dayFormat = new Intl.DateTimeFormat(undefined, { weekday: 'long', day: 'numeric', month: 'long' });
const yearFormat = new Intl.DateTimeFormat(undefined, {
  weekday: 'long',
  day: 'numeric',
  month: 'long',
  year: 'numeric',
});
const fullFormat = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'medium' });

export const clock = (ts: number): string => clockFormat.format(ts);
export const fullTime = (ts: number): string => fullFormat.format(ts);

export function dayName(day: number, now: number, words: { today: string; yesterday: string }): string {
  const today = dayOf(now);
  if (day === today) return words.today;
  if (day === dayOf(today - 1)) return words.yesterday;
  return (new Date(day).getFullYear() === new Date(now).getFullYear() ? dayFormat : yearFormat).format(day);
}
