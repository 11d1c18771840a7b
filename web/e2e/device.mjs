// A contact's device that is not ours: what it says of itself is computed by another's code (device.py).
import { spawn } from 'node:child_process';

const LIMIT = 20_000;

/** Signs in; answers once the device's presence is sent. It stays until leave() is called. */
export async function arrive(c2s, jid, kind, name, claimed = []) {
  const [host, port] = c2s.split(':');
  const script = new URL('./device.py', import.meta.url).pathname;
  const child = spawn('/usr/bin/python3', [script, host, port, jid, 'parlance', kind, name, ...claimed], {
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const gone = new Promise((r) => child.once('exit', r));
  let out = '';
  await new Promise((resolve, reject) => {
    const fail = (why) => reject(new Error(`${jid}: ${why} (python3-slixmpp is needed):\n${out}`));
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      fail('not signed in');
    }, LIMIT);
    const hear = (chunk) => {
      out += chunk;
      if (!/^ready /m.test(out)) return;
      clearTimeout(timer);
      resolve();
    };
    child.stdout.on('data', hear);
    child.stderr.on('data', hear);
    child.on('error', (err) => fail(err.message));
    gone.then((code) => fail(`exit ${code}`));
  });
  return {
    async leave() {
      child.stdin.end();
      const timer = setTimeout(() => child.kill('SIGKILL'), LIMIT);
      await gone;
      clearTimeout(timer);
    },
  };
}
