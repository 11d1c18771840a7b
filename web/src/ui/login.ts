import { mount, unmount } from 'svelte';
import type { Token } from '../im/link.ts';
import Login from './Login.svelte';

export function startLogin(target: HTMLElement, done: (token: Token) => void): void {
  const app = mount(Login, {
    target,
    props: {
      done: (token: Token) => {
        void unmount(app);
        done(token);
      },
    },
  });
}
