/** A tab's end of the port. */
import type { Token } from '../im/link.ts';
import type { Delta, Snapshot } from '../im/types.ts';
import type { Calls, ToHost, ToTab } from './protocol.ts';

export interface RemoteEvents {
  snapshot(s: Snapshot): void;
  delta(d: Delta): void;
}

export class CallError extends Error {
  constructor(readonly condition: string) {
    super(condition);
  }
}

const TAB = crypto.randomUUID();

async function openPort(): Promise<MessagePort> {
  if (typeof SharedWorker !== 'undefined') {
    // extendedLifetime lets the worker live through a reload of the only tab, and close its session
    // properly after the last one; a browser that does not know the option ignores it.
    const worker = new SharedWorker(new URL('./worker.ts', import.meta.url), {
      type: 'module',
      name: 'parlance',
      extendedLifetime: true,
    } as WorkerOptions);
    worker.onerror = (e) => console.error('remote: worker failed', e.message);
    return worker.port;
  }
  const { makeHost } = await import('./make-host.ts');
  const channel = new MessageChannel();
  makeHost().connect(channel.port2);
  return channel.port1;
}

export class Remote {
  private n = 0;
  private waiting = new Map<number, { resolve: (v: never) => void; reject: (e: Error) => void }>();
  private port: Promise<MessagePort>;

  constructor(private events: RemoteEvents) {
    this.port = openPort().then((port) => {
      port.onmessage = (e: MessageEvent<ToTab>) => this.hear(e.data);
      port.start();
      return port;
    });
    addEventListener('pagehide', this.bye);
  }

  private bye = (): void => this.post({ t: 'bye' });

  dispose(): void {
    removeEventListener('pagehide', this.bye);
    this.bye();
    void this.port.then((p) => setTimeout(() => p.close(), 0));
  }
  hello(account: string, token: Token | null): void {
    this.post({ t: 'hello', tab: TAB, account, token });
  }
  look(peer: string | null): void {
    this.post({ t: 'look', peer, visible: document.visibilityState === 'visible' });
  }
  signOut(): void {
    this.post({ t: 'signOut' });
  }
  call<M extends keyof Calls>(m: M, ...a: Parameters<Calls[M]>): Promise<Awaited<ReturnType<Calls[M]>>> {
    const n = ++this.n;
    return new Promise((resolve, reject) => {
      this.waiting.set(n, { resolve: resolve as (v: never) => void, reject });
      this.post({ t: 'call', n, m, a });
    });
  }

  private hear(msg: ToTab): void {
    switch (msg.t) {
      case 'snapshot':
        this.events.snapshot(msg.snapshot);
        return;
      case 'delta':
        this.events.delta(msg.d);
        return;
      case 'ping':
        this.post({ t: 'pong' });
        return;
      case 'result': {
        const w = this.waiting.get(msg.n);
        this.waiting.delete(msg.n);
        if (msg.ok) w?.resolve(msg.v as never);
        else w?.reject(new CallError(msg.condition));
      }
    }
  }
  private post(msg: ToHost): void {
    void this.port.then((p) => p.postMessage(msg));
  }
}
