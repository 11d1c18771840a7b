import 'fake-indexeddb/auto';
import { afterEach, describe, expect, it } from 'vitest';
import { openIdb } from '../platform/idb.ts';
import { Client } from './client.ts';
import type { Db } from './db.ts';
import { FakeServer } from './testing.ts';
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

// HARDENING I6: corrections (XEP-0308), retractions (0424), reactions (0444) and replies (0461) are
// not applied yet, so that nobody's can be; and no message takes another's place.
describe('the message of somebody else', () => {
  const MALLORY = 'mallory@acme.test';
  const about = {
    'a correction': '<replace xmlns="urn:xmpp:message-correct:0" id="m1"/>',
    'a retraction': '<retract xmlns="urn:xmpp:message-retract:1" id="a1"/>',
    'an older retraction':
      '<apply-to xmlns="urn:xmpp:fasten:0" id="m1"><retract xmlns="urn:xmpp:message-retract:0"/></apply-to>',
    'a moderation':
      '<retract xmlns="urn:xmpp:message-retract:1" id="a1"><moderated xmlns="urn:xmpp:message-moderate:1"/></retract>',
    'a reaction': '<reactions xmlns="urn:xmpp:reactions:0" id="m1"><reaction>x</reaction></reactions>',
    'a reply': '<reply xmlns="urn:xmpp:reply:0" to="bob@acme.test" id="m1"/>',
  };
  it.each(Object.entries(about))('%s leaves it as it is', async (_, extra) => {
    const { client, server, page } = await setup();
    server.online();
    server.give(live('original', 'm1', 'a1'));
    await client.say(BOB, 'mine', 'id-1');
    let i = 1;
    for (const from of [`${MALLORY}/x`, `${BOB}.evil.test/x`, `evil@acme.test/${BOB}`]) {
      for (const ext of [extra, extra.replaceAll('"m1"', '"id-1"')]) {
        server.give(live('forged', `f${i}`, `af${i}`, ext, from));
        server.give(
          `<message xmlns="jabber:client" from="${from}" to="${ME}/web" id="g${i}" type="chat">${ext}</message>`,
        );
        i++;
      }
    }
    await server.until(async () => (await page(MALLORY)).length === 2);
    expect((await page()).map((m) => m.body)).toEqual(['original', 'mine']);
  });

  it.each(['m1', 'a1', 'id-1', 'o:id-1', 'i:a1'])(
    'a message that comes with the id %j takes nobody’s place',
    async (id) => {
      const { client, server, page } = await setup();
      server.online();
      server.give(live('original', 'm1', 'a1'));
      server.give(live('passing', 'm2', '')); // not archived
      await client.say(BOB, 'mine', 'id-1');
      // Archived, with an id of the sender's choice; not archived, where that id is all there is.
      server.give(live('forged 1', id, 'a7', '', `${MALLORY}/x`));
      server.give(live('forged 2', id, '', '', `${MALLORY}/x`).replace('type="chat"', 'type="headline"'));
      server.give(live('forged 3', 'm2', '', '', `${MALLORY}/x`));
      server.give(live('end', 'z', 'a9'));
      await server.until(async () => (await page()).some((m) => m.body === 'end'));
      expect((await page()).map((m) => m.body)).toEqual(['original', 'passing', 'mine', 'end']);
    },
  );
});
