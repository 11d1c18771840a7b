package api

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// maxPath is what sockaddr_un holds, without the final NUL.
const maxPath = 107

// ErrBusy says that another server answers on the socket.
var ErrBusy = errors.New("api: another server answers on this socket")

// Listen makes the socket at path with mode 0600. One that a killed server left
// behind is replaced. It never exists with a wider mode: it is made in a folder
// of its own and then moved.
func Listen(path string) (net.Listener, error) {
	if c, err := dial(context.Background(), path); err == nil {
		return nil, errors.Join(ErrBusy, c.Close())
	}
	dir, err := os.MkdirTemp(filepath.Dir(path), ".admin-") // mode 0700
	if err != nil {
		return nil, fmt.Errorf("api: listen: %w", err)
	}
	defer os.RemoveAll(dir)
	made := filepath.Join(dir, "s")
	l, err := listenAt(made)
	if err != nil {
		return nil, fmt.Errorf("api: listen: %w", err)
	}
	err = os.Chmod(made, 0o600)
	if err == nil {
		err = os.Rename(made, path)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("api: listen: %w", err), l.Close())
	}
	return &listener{Listener: l, path: path}, nil
}

// listener removes the socket where it was moved to.
type listener struct {
	net.Listener
	path string
}

// Close stops listening and removes the socket.
func (l *listener) Close() error {
	err := l.Listener.Close()
	if err == nil {
		err = os.Remove(l.path)
	}
	return err
}

func listenAt(path string) (net.Listener, error) {
	var l *net.UnixListener
	err := reach(path, func(p string) (err error) {
		l, err = net.ListenUnix("unix", &net.UnixAddr{Name: p, Net: "unix"})
		return err
	})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false)
	return l, nil
}

func dial(ctx context.Context, path string) (c net.Conn, err error) {
	d := net.Dialer{Timeout: 5 * time.Second}
	err = reach(path, func(p string) error {
		c, err = d.DialContext(ctx, "unix", p)
		return err
	})
	return c, err
}

// reach calls f with a name for path that fits a socket address. A data folder
// may lie deep; then the way goes by the open folder's descriptor.
func reach(path string, f func(string) error) error {
	if len(path) <= maxPath {
		return f(path)
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	err = f("/proc/self/fd/" + strconv.Itoa(int(dir.Fd())) + "/" + filepath.Base(path))
	return errors.Join(err, dir.Close())
}
