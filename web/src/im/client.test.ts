import 'fake-indexeddb/auto';
import { afterEach, describe, expect, it } from 'vitest';
import { openIdb } from '../platform/idb.ts';
import { Client } from './client.ts';
import type { Db } from './db.ts';
import { type Archived, FakeServer } from './testing.ts';
import type { Delta } from './types.ts';

const ME = 'alice@acme.test';
const BOB = 'bob@acme.test';
let n = 0;
const open: Client[] = [];

afterEach(() => {
  for (const c of open.splice(0)) c.close();
});

async function setup(server = new FakeServer(ME), db?: Db) {
  const store = db ?? (await openIdb(`t${++n}`));
  const deltas: Delta[] = [];
  const client = new Client({
    account: ME,
    db: store,
    url: 'wss://acme.test/ws',
    transport: (events) => {
      server.events = events;
      return server;
    },
    fetchToken: async () => ({ jid: ME, token: 't', expires: Date.now() + 300_000 }),
    emit: (d) => deltas.push(d),
    now: () => Date.now(),
  });
  open.push(client);
  client.start(null);
  await server.until(() => server.connects > 0);
  const page = (peer = BOB) => store.page(peer, null, 100);
  return { client, server, store, deltas, page };
}

const live = (body: string, id: string, archiveId: string, extra = '', from = `${BOB}/x`) =>
  `<message xmlns="jabber:client" from="${from}" to="${ME}/web" id="${id}" type="chat"><body>${body}</body><origin-id xmlns="urn:xmpp:sid:0" id="${id}"/>${archiveId && `<stanza-id xmlns="urn:xmpp:sid:0" by="${ME}" id="${archiveId}"/>`}${extra}</message>`;

const old = (i: number, from = `${BOB}/x`, to = ME): Archived => ({
  id: `a${i}`,
  from,
  to,
  msgId: `m${i}`,
  body: `old ${i}`,
  stamp: new Date(Date.now() - 3_600_000 + i * 1000).toISOString(),
});

describe('the outbox', () => {
  it('keeps what was said offline and sends it once there is a stream', async () => {
    const { client, server, page } = await setup();
    await client.say(BOB, 'hello', 'id-1');
    expect(server.messages()).toHaveLength(0);
    expect((await page())[0]).toMatchObject({ id: 'id-1', status: 'pending' });
    server.online();
    const sent = await server.until(() => server.messages()[0]);
    expect(sent.attr('id')).toBe('id-1');
    expect(sent.child('origin-id', 'urn:xmpp:sid:0')?.attr('id')).toBe('id-1');
  });

  it('survives a crash: the next client on the same disk sends it, same id', async () => {
    const first = await setup();
    await first.client.say(BOB, 'hello', 'id-1');
    first.client.close();
    const second = await setup(new FakeServer(ME), first.store);
    second.server.online();
    const sent = await second.server.until(() => second.server.messages()[0]);
    expect(sent.attr('id')).toBe('id-1');
  });

  it('counts as archived only on the word of the server (XEP-0198)', async () => {
    const { client, server, page } = await setup();
    server.online();
    await client.say(BOB, 'hello', 'id-1');
    expect((await page())[0]?.status).toBe('pending');
    server.events.acked(['id-1']);
    await server.until(async () => (await page())[0]?.status === 'archived');
  });

  it('a resumed session repeats by itself: nothing is sent a second time from here', async () => {
    const { client, server } = await setup();
    server.online();
    await client.say(BOB, 'one', 'id-1');
    server.offline();
    await client.say(BOB, 'two', 'id-2');
    server.online(true);
    await server.until(() => server.messages().length >= 2);
    expect(server.messages().map((m) => m.attr('id'))).toEqual(['id-1', 'id-2']);
  });

  it('a lost session: everything without an answer goes again, with the same ids, in order', async () => {
    const { client, server } = await setup();
    server.online();
    await client.say(BOB, 'one', 'id-1');
    await client.say(BOB, 'two', 'id-2');
    server.events.acked(['id-1']);
    server.offline();
    await client.say(BOB, 'three', 'id-3');
    server.online(false);
    await server.until(() => server.messages().length >= 4);
    expect(server.messages().map((m) => m.attr('id'))).toEqual(['id-1', 'id-2', 'id-2', 'id-3']);
  });

  it('a refusal is shown, and a new try keeps the id', async () => {
    const { client, server, page } = await setup();
    server.online();
    await client.say(BOB, 'hello', 'id-1');
    server.give(
      `<message xmlns="jabber:client" type="error" id="id-1" from="${BOB}"><error type="cancel"><service-unavailable xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error></message>`,
    );
    await server.until(async () => (await page())[0]?.status === 'failed');
    expect((await page())[0]?.error).toBe('service-unavailable');
    await client.retry('o:id-1');
    await server.until(() => server.messages().length === 2);
    expect(server.messages()[1]?.attr('id')).toBe('id-1');
  });

  it('nobody but the one written to can make a message fail', async () => {
    const { client, server, page } = await setup();
    server.online();
    await client.say(BOB, 'hello', 'id-1');
    server.give(
      `<message xmlns="jabber:client" type="error" id="id-1" from="mallory@acme.test"><error type="cancel"/></message>`,
    );
    server.give(live('x', 'later', 'a1'));
    await server.until(async () => (await page()).length === 2);
    expect((await page()).find((m) => m.id === 'id-1')?.status).toBe('pending');
  });
});

describe('ticks', () => {
  it('go forward only: delivered (0184), then read (0333), and all before it', async () => {
    const { client, server, page } = await setup();
    server.online();
    await client.say(BOB, 'one', 'id-1');
    await client.say(BOB, 'two', 'id-2');
    server.events.acked(['id-1', 'id-2']);
    const mark = (what: string) =>
      server.give(`<message xmlns="jabber:client" from="${BOB}/x" type="chat">${what}</message>`);
    mark('<received xmlns="urn:xmpp:receipts" id="id-1"/>');
    await server.until(async () => (await page())[0]?.status === 'delivered');
    mark('<displayed xmlns="urn:xmpp:chat-markers:0" id="id-2"/>');
    mark('<received xmlns="urn:xmpp:receipts" id="id-2"/>');
    server.give(live('done', 'z', 'a9'));
    await server.until(async () => (await page()).length === 3);
    expect((await page()).map((m) => m.status)).toEqual(['read', 'read', undefined]);
  });

  it('a receipt by somebody else changes nothing', async () => {
    const { client, server, page } = await setup();
    server.online();
    await client.say(BOB, 'one', 'id-1');
    server.events.acked(['id-1']);
    server.give(
      `<message xmlns="jabber:client" from="mallory@acme.test/x"><received xmlns="urn:xmpp:receipts" id="id-1"/></message>`,
    );
    server.give(live('done', 'z', 'a9'));
    await server.until(async () => (await page()).length === 2);
    expect((await page())[0]?.status).toBe('archived');
  });
});

describe('nothing is doubled', () => {
  it('live and again from the archive', async () => {
    const server = new FakeServer(ME);
    const { page, client } = await setup(server);
    server.online();
    server.give(live('hi', 'm1', 'a1'));
    await server.until(async () => (await page()).length === 1);
    server.archive = [{ ...old(1), body: 'hi' }];
    await client.older(BOB, null);
    expect(await page()).toHaveLength(1);
  });

  it('the same origin-id again (a sender that repeated itself)', async () => {
    const { server, page } = await setup();
    server.online();
    server.give(live('hi', 'm1', 'a1'));
    server.give(live('hi', 'm1', 'a2'));
    server.give(live('there', 'm2', 'a3'));
    await server.until(async () => (await page()).some((m) => m.id === 'm2'));
    expect((await page()).map((m) => m.body)).toEqual(['hi', 'there']);
  });

  it('but a counting client that starts again at 1 loses nothing', async () => {
    const { server, page } = await setup();
    server.online();
    const plain = (body: string, a: string) =>
      `<message xmlns="jabber:client" from="${BOB}/x" id="1" type="chat"><body>${body}</body><stanza-id xmlns="urn:xmpp:sid:0" by="${ME}" id="${a}"/></message>`;
    server.give(plain('first session', 'a1'));
    server.give(plain('second session', 'a2'));
    await server.until(async () => (await page()).length === 2);
  });

  it('own message sent here, then found in the archive: archived even if the ack was lost', async () => {
    const server = new FakeServer(ME);
    const { client, page } = await setup(server);
    server.online();
    await client.say(BOB, 'hello', 'm1');
    server.archive = [{ ...old(1, `${ME}/web`, BOB), body: 'hello' }];
    await client.older(BOB, null);
    expect(await page()).toMatchObject([{ id: 'm1', status: 'archived', archiveId: 'a1' }]);
  });
});

describe('carbons (XEP-0280)', () => {
  const wrap = (from: string, inner: string, kind = 'sent') =>
    `<message xmlns="jabber:client" from="${from}" to="${ME}/web"><${kind} xmlns="urn:xmpp:carbons:2"><forwarded xmlns="urn:xmpp:forward:0">${inner}</forwarded></${kind}></message>`;
  const mine = `<message xmlns="jabber:client" from="${ME}/phone" to="${BOB}" id="p1" type="chat"><body>from my phone</body><origin-id xmlns="urn:xmpp:sid:0" id="p1"/></message>`;

  it('show what another device of ours sent, and count the conversation as read', async () => {
    const { server, page, client } = await setup();
    server.online();
    server.give(live('you there?', 'm1', 'a1'));
    server.give(wrap(ME, mine));
    await server.until(async () => (await page()).length === 2);
    expect((await page())[1]).toMatchObject({ dir: 'out', body: 'from my phone', status: 'archived' });
    await server.until(async () => (await client.snapshot()).convs[0]?.unread === 0);
  });

  it('by anybody else are dropped whole (I3)', async () => {
    const { server, page } = await setup();
    server.online();
    server.give(wrap(`${BOB}/x`, mine));
    server.give(wrap('', mine));
    server.give(live('marker', 'm1', 'a1'));
    await server.until(async () => (await page()).length > 0);
    expect((await page()).map((m) => m.body)).toEqual(['marker']);
  });
});

describe('catch-up (XEP-0313)', () => {
  it('reads on after the last known id, in pages, then lets live messages move it', async () => {
    const server = new FakeServer(ME);
    const first = await setup(server);
    server.archive = [old(1)];
    server.online();
    await server.until(async () => (await first.store.meta('cursor')) === 'a1');
    first.client.close();
    server.archive = Array.from({ length: 251 }, (_, i) => old(i + 1));
    const server2 = Object.assign(new FakeServer(ME), { archive: server.archive });
    const second = await setup(server2, first.store);
    server2.online();
    await server2.until(async () => (await second.store.meta('cursor')) === 'a251');
    expect(await second.store.page(BOB, null, 1000)).toHaveLength(251);
    const asked = server2.sent.filter((e) => e.child('query', 'urn:xmpp:mam:2'));
    expect(asked.map((e) => e.child('query')?.child('set')?.text('after'))).toEqual(['a1', 'a101', 'a201']);
    server2.give(live('now', 'm999', 'a999'));
    await server2.until(async () => (await second.store.meta('cursor')) === 'a999');
  });

  it('a message that arrives live before catch-up is through does not hide the gap', async () => {
    const server = new FakeServer(ME);
    const { store, page } = await setup(server);
    await store.setMeta('cursor', 'a1');
    const again = await setup(Object.assign(new FakeServer(ME), { archive: [old(1), old(2)] }), store);
    again.server.answering = false;
    again.server.online();
    again.server.give(live('live', 'm9', 'a9'));
    await again.server.until(async () => (await page()).length === 1);
    expect(await store.meta('cursor')).toBe('a1');
  });

  it('counts what was missed as unread; paging back does not', async () => {
    const server = new FakeServer(ME);
    const { store, client } = await setup(server);
    await store.setMeta('cursor', 'a60');
    client.close();
    const s2 = Object.assign(new FakeServer(ME), { archive: Array.from({ length: 63 }, (_, i) => old(i + 1)) });
    const again = await setup(s2, store);
    s2.online();
    await s2.until(async () => (await again.client.snapshot()).convs[0]?.unread === 3);
    await again.client.older(BOB, null);
    expect((await again.client.snapshot()).convs[0]?.unread).toBe(3);
    expect(await again.page()).toHaveLength(50);
  });

  it('a forged archive result is not taken (from somebody else, or unasked)', async () => {
    const { server, page } = await setup();
    server.online();
    const forged = (from: string) =>
      `<message xmlns="jabber:client" from="${from}"><result xmlns="urn:xmpp:mam:2" queryid="q" id="e1"><forwarded xmlns="urn:xmpp:forward:0"><message xmlns="jabber:client" from="${BOB}/x" to="${ME}" type="chat"><body>forged</body></message></forwarded></result></message>`;
    server.give(forged(`${BOB}/x`));
    server.give(forged(ME));
    server.give(live('marker', 'm1', 'a1'));
    await server.until(async () => (await page()).length > 0);
    expect((await page()).map((m) => m.body)).toEqual(['marker']);
  });
});

describe('reading', () => {
  it('tells the other side once, when the end of the conversation is looked at', async () => {
    const { server, client } = await setup();
    server.online();
    const markable = '<markable xmlns="urn:xmpp:chat-markers:0"/><request xmlns="urn:xmpp:receipts"/>';
    server.give(live('hi', 'm1', 'a1', markable));
    await server.until(async () => (await client.snapshot()).convs[0]?.unread === 1);
    const markers = () => server.sent.filter((e) => e.child('displayed', 'urn:xmpp:chat-markers:0'));
    const receipts = () => server.sent.filter((e) => e.child('received', 'urn:xmpp:receipts'));
    expect(receipts()).toHaveLength(1);
    expect(markers()).toHaveLength(0);
    client.look('tab', BOB);
    await server.until(() => markers().length === 1);
    expect(markers()[0]?.child('displayed')?.attr('id')).toBe('m1');
    client.look('tab', BOB);
    server.give(live('again', 'm2', 'a2', markable));
    await server.until(() => markers().length === 2);
    expect((await client.snapshot()).convs[0]?.unread).toBe(0);
  });
});

describe('contacts', () => {
  it('a roster push by a contact is refused (I2)', async () => {
    const { server, client } = await setup();
    server.roster = [{ jid: BOB, sub: 'both' }];
    server.online();
    await server.until(async () => (await client.snapshot()).roster.length === 1);
    server.give(
      `<iq xmlns="jabber:client" type="set" id="p1" from="${BOB}/x"><query xmlns="jabber:iq:roster"><item jid="mallory@acme.test" subscription="both"/></query></iq>`,
    );
    const answer = await server.until(() => server.sent.find((e) => e.attr('id') === 'p1'));
    expect(answer.attr('type')).toBe('error');
    expect((await client.snapshot()).roster).toHaveLength(1);
  });

  it('a request waits for an answer; accepting asks back', async () => {
    const { server, client } = await setup();
    server.online();
    server.give('<presence xmlns="jabber:client" type="subscribe" from="dave@acme.test"/>');
    expect((await client.snapshot()).requests).toEqual([{ jid: 'dave@acme.test', nick: '' }]);
    await client.accept('dave@acme.test');
    const types = server.sent.filter((e) => e.nodeName === 'presence' && e.attr('to')).map((e) => e.attr('type'));
    expect(types).toEqual(['subscribed', 'subscribe']);
    expect((await client.snapshot()).requests).toEqual([]);
  });

  it('presence: the best resource stands for the person; a phone alone is marked', async () => {
    const { server, client } = await setup();
    server.online();
    const pres = (res: string, inner = '', type = '') =>
      server.give(`<presence xmlns="jabber:client" ${type} from="${BOB}/${res}">${inner}</presence>`);
    pres('desk', '<show>away</show><priority>5</priority><status>lunch</status>');
    pres('web');
    const shown = async () => new Map((await client.snapshot()).presence).get(BOB);
    expect(await shown()).toEqual({ show: 'away', status: 'lunch', mobile: false });
    pres('desk', '', 'type="unavailable"');
    expect(await shown()).toEqual({ show: 'available', status: '', mobile: false });
    pres('web', '', 'type="unavailable"');
    expect((await shown())?.show).toBe('offline');
  });
});
