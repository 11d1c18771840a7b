// A TCP proxy that can lose its network: connections are cut, new ones refused, until it is healed.
import net from 'node:net';

export async function startProxy(target) {
  const [host, port] = target.split(':');
  const pairs = new Set();
  let cut = false;
  const server = net.createServer((client) => {
    if (cut) {
      client.destroy();
      return;
    }
    const upstream = net.connect(Number(port), host);
    const pair = { client, upstream };
    pairs.add(pair);
    const end = () => {
      client.destroy();
      upstream.destroy();
      pairs.delete(pair);
    };
    for (const s of [client, upstream]) s.on('error', end).on('close', end);
    client.pipe(upstream);
    upstream.pipe(client);
  });
  await new Promise((r) => server.listen(0, '127.0.0.1', r));
  return {
    address: `127.0.0.1:${server.address().port}`,
    cut() {
      cut = true;
      for (const p of [...pairs]) {
        p.client.destroy();
        p.upstream.destroy();
      }
    },
    heal() {
      cut = false;
    },
    async stop() {
      this.cut();
      await new Promise((r) => server.close(r));
    },
  };
}
