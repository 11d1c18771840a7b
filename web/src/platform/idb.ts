/** The client's memory: one IndexedDB database per account. */
import { type DBSchema, deleteDB, type IDBPDatabase, openDB } from 'idb';
import type { Db, Meta } from '../im/db.ts';
import type { Conv, Msg, RosterItem } from '../im/types.ts';

interface Schema extends DBSchema {
  meta: { key: string; value: unknown };
  roster: { key: string; value: RosterItem };
  convs: { key: string; value: Conv };
  caps: { key: string; value: boolean };
  msgs: {
    key: string;
    value: Msg;
    indexes: {
      order: [string, number, string];
      archive: string;
      id: [string, string, string];
      status: string;
    };
  };
}

const name = (account: string) => `parlance:${account}`;

export async function openIdb(account: string): Promise<Db> {
  const db = await openDB<Schema>(name(account), 1, {
    upgrade(db) {
      db.createObjectStore('meta');
      db.createObjectStore('caps');
      db.createObjectStore('roster', { keyPath: 'jid' });
      db.createObjectStore('convs', { keyPath: 'peer' });
      const msgs = db.createObjectStore('msgs', { keyPath: 'key' });
      msgs.createIndex('order', ['peer', 'ts', 'key']);
      msgs.createIndex('archive', 'archiveId');
      msgs.createIndex('id', ['peer', 'dir', 'id']);
      msgs.createIndex('status', 'status');
    },
    blocking(_cur, _next, event) {
      (event.target as IDBDatabase).close(); // a newer build, or a logout elsewhere, wants it
    },
  });
  return new Idb(db);
}

export async function dropIdb(account: string): Promise<void> {
  await deleteDB(name(account));
}

class Idb implements Db {
  constructor(private db: IDBPDatabase<Schema>) {}

  async meta<K extends keyof Meta>(key: K): Promise<Meta[K] | undefined> {
    return (await this.db.get('meta', key)) as Meta[K] | undefined;
  }
  async setMeta<K extends keyof Meta>(key: K, value: Meta[K]): Promise<void> {
    await this.db.put('meta', value, key);
  }
  roster(): Promise<RosterItem[]> {
    return this.db.getAll('roster');
  }
  async setRoster(items: RosterItem[]): Promise<void> {
    const tx = this.db.transaction('roster', 'readwrite');
    void tx.store.clear();
    for (const item of items) void tx.store.put(item);
    await tx.done;
  }
  convs(): Promise<Conv[]> {
    return this.db.getAll('convs');
  }
  async put(msgs: Msg[], convs: Conv[]): Promise<void> {
    // strict: an outbox row must have reached the disk before we call it safe.
    const tx = this.db.transaction(['msgs', 'convs'], 'readwrite', { durability: 'strict' });
    for (const m of msgs) void tx.objectStore('msgs').put(m);
    for (const c of convs) void tx.objectStore('convs').put(c);
    await tx.done;
  }
  msg(key: string): Promise<Msg | undefined> {
    return this.db.get('msgs', key);
  }
  byArchiveId(archiveId: string): Promise<Msg | undefined> {
    return this.db.getFromIndex('msgs', 'archive', archiveId);
  }
  byId(peer: string, dir: 'in' | 'out', id: string): Promise<Msg | undefined> {
    return this.db.getFromIndex('msgs', 'id', [peer, dir, id]);
  }
  async page(peer: string, before: { ts: number; key: string } | null, n: number): Promise<Msg[]> {
    const range = before
      ? IDBKeyRange.bound([peer, -Infinity, ''], [peer, before.ts, before.key], false, true)
      : IDBKeyRange.bound([peer, -Infinity, ''], [peer, Infinity, '']);
    const out: Msg[] = [];
    let cursor = await this.db.transaction('msgs').store.index('order').openCursor(range, 'prev');
    while (cursor && out.length < n) {
      out.push(cursor.value);
      cursor = await cursor.continue();
    }
    return out.reverse();
  }
  async pending(): Promise<Msg[]> {
    const all = await this.db.getAllFromIndex('msgs', 'status', 'pending');
    return all.sort((a, b) => a.ts - b.ts || (a.key < b.key ? -1 : 1));
  }
  mobile(key: string): Promise<boolean | undefined> {
    return this.db.get('caps', key);
  }
  async setMobile(key: string, mobile: boolean): Promise<void> {
    await this.db.put('caps', mobile, key);
  }
  close(): void {
    this.db.close();
  }
}
