import 'fake-indexeddb/auto';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { openIdb } from '../platform/idb.ts';
import { Client } from './client.ts';
import type { Db } from './db.ts';
import { FakeServer } from './testing.ts';

const ME = 'alice@acme.test';
const BOB = 'bob@acme.test';
// printf 'client/phone//Pocket<urn:xmpp:ping<' | openssl dgst -sha1 -binary | base64, and so on
const PHONE_VER = 'w1NxeIVuj2rC98dtcsbnwl4pQ1s=';
const DESK_VER = 'AjEWFyYdeOCGui05KkkeOsHPRmc=';
let n = 0;
const open: Client[] = [];

afterEach(() => {
  for (const c of open.splice(0)) c.close();
});

describe('what a contact is on (XEP-0115)', () => {
  const PHONE = '<identity category="client" type="phone" name="Pocket"/><feature var="urn:xmpp:ping"/>';
  const DESK = '<identity category="client" type="pc" name="Desk"/><feature var="urn:xmpp:ping"/>';
  const MALLORY = 'mallory@acme.test/x';

  async function world(db?: Db) {
    const server = new FakeServer(ME);
    const store = db ?? (await openIdb(`p${++n}`));
    const client = new Client({
      account: ME,
      db: store,
      url: 'wss://acme.test/ws',
      transport: (events) => {
        server.events = events;
        return server;
      },
      fetchToken: async () => ({ jid: ME, token: 't', expires: Date.now() + 300_000 }),
      emit: () => {},
      now: () => Date.now(),
    });
    open.push(client);
    client.start(null);
    await server.until(() => server.connects > 0);
    server.online();
    const here = (full: string, ver: string, says: string, attrs = 'hash="sha-1"') => {
      server.clients.set(full, says);
      server.give(
        `<presence xmlns="jabber:client" from="${full}"><c xmlns="http://jabber.org/protocol/caps" ${attrs} node="https://x.test" ver="${ver}"/></presence>`,
      );
    };
    const gone = (full: string) => server.give(`<presence xmlns="jabber:client" type="unavailable" from="${full}"/>`);
    const mobile = async (who: string) => new Map((await client.snapshot()).presence).get(who.split('/')[0]!)?.mobile;
    return { client, server, store, here, gone, mobile, until: server.until.bind(server) };
  }

  it('a phone alone is marked, and no longer with a desktop beside it', async () => {
    const { here, gone, mobile, until } = await world();
    here(`${BOB}/pocket`, PHONE_VER, PHONE);
    await until(() => mobile(BOB));
    here(`${BOB}/desk`, DESK_VER, DESK);
    await until(async () => !(await mobile(BOB)));
    gone(`${BOB}/desk`);
    await until(() => mobile(BOB));
  });

  it('one of a kind is asked, once, and another day none', async () => {
    const first = await world();
    first.here(`${BOB}/a`, PHONE_VER, PHONE);
    first.here('carol@acme.test/b', PHONE_VER, PHONE);
    await first.until(() => first.mobile('carol@acme.test'));
    first.here(`${BOB}/a`, PHONE_VER, PHONE);
    expect(first.server.asked(`${BOB}/a`)).toBe(1);
    expect(first.server.asked('carol@acme.test/b')).toBe(0);
    first.client.close();
    const second = await world(first.store);
    second.here('dave@acme.test/c', PHONE_VER, '');
    await second.until(() => second.mobile('dave@acme.test'));
    expect(second.server.asked('dave@acme.test/c')).toBe(0);
  });

  it('a false hash says nothing of others: not before, not meanwhile, not afterwards (HARDENING I8)', async () => {
    const { here, mobile, until, server, store } = await world();
    here(MALLORY, DESK_VER, PHONE); // a phone, with the hash of Bob's desktop
    here(`${BOB}/desk`, DESK_VER, DESK); // while Mallory's answer is due
    await until(() => mobile(MALLORY)); // of itself it may say what it likes
    await until(() => server.asked(`${BOB}/desk`) === 1);
    await until(async () => (await store.mobile(`sha-1 ${DESK_VER}`)) === false);
    expect(await mobile(BOB)).toBe(false);
    here('carol@acme.test/desk', DESK_VER, '');
    await new Promise((r) => setTimeout(r));
    expect(server.asked('carol@acme.test/desk')).toBe(0);
    expect(await mobile('carol@acme.test')).toBe(false);
  });

  it('nor does one that makes a phone look like something else', async () => {
    const { here, mobile, until } = await world();
    here(MALLORY, PHONE_VER, DESK);
    here(`${BOB}/pocket`, PHONE_VER, PHONE);
    await until(() => mobile(BOB));
    expect(await mobile(MALLORY)).toBe(false);
  });

  it('nor one that never answers', async () => {
    const { here, mobile, until, server } = await world();
    here(MALLORY, PHONE_VER, '');
    await until(() => server.asked(MALLORY) === 1);
    vi.useFakeTimers({ toFake: ['setTimeout'] });
    try {
      here(`${BOB}/pocket`, PHONE_VER, PHONE);
      // The database answers in its own time, whatever the clock says: the test's limit bounds this.
      while (!server.asked(`${BOB}/pocket`)) {
        await vi.advanceTimersByTimeAsync(100);
        await new Promise((r) => setImmediate(r));
      }
    } finally {
      vi.useRealTimers();
    }
    await until(() => mobile(BOB));
  });

  it('one that refuses the first time is asked once more', async () => {
    const { here, gone, mobile, until, server } = await world();
    vi.useFakeTimers({ toFake: ['setTimeout'] });
    try {
      server.refusing.add(`${BOB}/pocket`);
      here(`${BOB}/pocket`, PHONE_VER, PHONE);
      while (!server.asked(`${BOB}/pocket`)) await new Promise((r) => setImmediate(r));
      server.refusing.clear();
      while (server.asked(`${BOB}/pocket`) < 2) {
        await vi.advanceTimersByTimeAsync(100);
        await new Promise((r) => setImmediate(r));
      }
    } finally {
      vi.useRealTimers();
    }
    await until(() => mobile(BOB));
    gone(`${BOB}/pocket`);
  });

  it.each([
    ['no hash', ''],
    ['one we do not know', 'hash="md5"'],
  ])('%s: asked each time, believed of that client alone (XEP-0115 §5.4)', async (_, attrs) => {
    const { here, mobile, until, server } = await world();
    here(MALLORY, '0.9', PHONE, attrs);
    await until(() => mobile(MALLORY));
    here(`${BOB}/desk`, '0.9', DESK, attrs);
    await until(() => server.asked(`${BOB}/desk`) === 1);
    here(`${BOB}/desk`, '0.9', DESK, attrs);
    here('carol@acme.test/x', '0.9', PHONE, attrs);
    await until(() => mobile('carol@acme.test'));
    expect(await mobile(BOB)).toBe(false);
    expect(server.asked(`${BOB}/desk`)).toBe(1);
  });

  it('an answer about what it was before does not count', async () => {
    const { here, mobile, until, server, store } = await world();
    here(`${BOB}/x`, 'old', ''); // keeps its answer
    const question = await until(() => server.sent.find((e) => e.attr('to') === `${BOB}/x`));
    here(`${BOB}/x`, DESK_VER, DESK);
    await until(async () => (await store.mobile(`sha-1 ${DESK_VER}`)) === false);
    await new Promise((r) => setTimeout(r));
    server.tell(question, PHONE);
    here('carol@acme.test/p', PHONE_VER, PHONE);
    await until(() => mobile('carol@acme.test'));
    expect(await mobile(BOB)).toBe(false);
  });
});
