/**
 * What the core knows and tells the tabs. Plain data only: it crosses a MessagePort and lies in IndexedDB.
 */
import type { Show } from '../xmpp/xep/presence.ts';
import type { RosterItem } from '../xmpp/xep/roster.ts';

export type { RosterItem, Show };

/** pending: not yet at the server. archived: the server's word (XEP-0198). delivered: 0184. read: 0333. */
export type Status = 'pending' | 'archived' | 'delivered' | 'read' | 'failed';

export interface Msg {
  /** Never changes: the list key, from the first optimistic frame on. */
  key: string;
  peer: string;
  dir: 'in' | 'out';
  body: string;
  /** Server's clock as well as we know it, ms with µs as fraction. The order of the list. */
  ts: number;
  /** The stanza's id; for ours also its origin-id (XEP-0359), the same in every attempt to send it. */
  id: string;
  /** Id in our own archive, '' until it is known. */
  archiveId: string;
  /** Only for out. */
  status?: Status;
  /** Condition of the error that refused it. */
  error?: string;
  /** in: the sender wants to know when it is displayed (XEP-0333 §4). */
  markable?: boolean;
}

export interface Conv {
  peer: string;
  lastTs: number;
  lastBody: string;
  lastDir: 'in' | 'out' | '';
  unread: number;
  /** Everything up to here is read; the unread divider stands behind it. */
  readTs: number;
  /** Id of the last message we said we displayed. */
  displayedId: string;
  draft: string;
  /** How far up the archive has been read: its id, '' = nothing yet. */
  oldestArchiveId: string;
  /** The beginning of the conversation is here. */
  complete: boolean;
}

export interface Presence {
  show: Show;
  status: string;
  /** Reachable on a phone only. */
  mobile: boolean;
}

/** off: signed out here. waiting: no network or server; retryAt tells when it is tried again. */
export interface Link {
  state: 'connecting' | 'online' | 'waiting' | 'replaced';
  since: number;
}

export interface Self {
  jid: string;
  show: Show;
  status: string;
}

export interface Request {
  jid: string;
  nick: string;
}

export interface Snapshot {
  self: Self;
  link: Link;
  roster: RosterItem[];
  presence: [string, Presence][];
  convs: Conv[];
  requests: Request[];
  typing: string[];
}

/** What changed. Tabs apply them in order on top of the snapshot they attached with. */
export type Delta =
  | { t: 'self'; self: Self }
  | { t: 'link'; link: Link }
  | { t: 'roster'; roster: RosterItem[] }
  | { t: 'presence'; jid: string; presence: Presence }
  | { t: 'conv'; conv: Conv }
  | { t: 'msgs'; peer: string; msgs: Msg[] }
  | { t: 'requests'; requests: Request[] }
  | { t: 'typing'; jid: string; on: boolean }
  | { t: 'incoming'; msg: Msg; name: string }
  | { t: 'signedOut' };

export interface Page {
  msgs: Msg[];
  /** Nothing older exists, here or at the server. */
  complete: boolean;
}

export function newConv(peer: string): Conv {
  return {
    peer,
    lastTs: 0,
    lastBody: '',
    lastDir: '',
    unread: 0,
    readTs: 0,
    displayedId: '',
    draft: '',
    oldestArchiveId: '',
    complete: false,
  };
}
