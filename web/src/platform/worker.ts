/** Entry of the shared worker: owns the connection, outlives any one tab. */
import { makeHost } from './make-host.ts';

const host = makeHost();
(globalThis as unknown as { onconnect: (e: MessageEvent) => void }).onconnect = (e) => {
  const port = e.ports[0];
  if (port) host.connect(port);
};
