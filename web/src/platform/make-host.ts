/** The host with its real parts. Heavy (Strophe): loaded by the worker, or on demand by a page without one. */
import { StropheStream } from '../xmpp/stream.ts';
import { Host } from './host.ts';
import { dropIdb, openIdb } from './idb.ts';
import { freshToken, logout, serverNow } from './session.ts';

export function makeHost(): Host {
  return new Host({
    openDb: openIdb,
    dropDb: dropIdb,
    fetchToken: freshToken,
    logout,
    transport: (events) => new StropheStream(events),
    url: `${location.protocol === 'http:' ? 'ws' : 'wss'}://${location.host}/ws`,
    now: serverNow,
  });
}
