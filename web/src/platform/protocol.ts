/** What crosses the port between a tab and the host of the client (a shared worker, or the page itself). */
import type { Client } from '../im/client.ts';
import type { Token } from '../im/link.ts';
import type { Delta, Snapshot } from '../im/types.ts';

export type Calls = Pick<
  Client,
  | 'say'
  | 'retry'
  | 'open'
  | 'older'
  | 'markRead'
  | 'draft'
  | 'type'
  | 'setPresence'
  | 'add'
  | 'accept'
  | 'decline'
  | 'rename'
  | 'remove'
  | 'kick'
  | 'takeBack'
>;

export type ToHost =
  | { t: 'hello'; tab: string; account: string; token: Token | null }
  | { t: 'call'; n: number; m: keyof Calls; a: unknown[] }
  | { t: 'look'; peer: string | null; visible: boolean }
  | { t: 'signOut' }
  | { t: 'bye' }
  | { t: 'pong' };

export type ToTab =
  | { t: 'snapshot'; snapshot: Snapshot }
  | { t: 'result'; n: number; ok: true; v: unknown }
  | { t: 'result'; n: number; ok: false; condition: string }
  | { t: 'delta'; d: Delta }
  | { t: 'ping' };
