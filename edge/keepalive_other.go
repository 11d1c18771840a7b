//go:build !linux

package edge

import "net"

// keepAlive makes a listener's connections be probed.
func keepAlive(lc *net.ListenConfig) { lc.KeepAliveConfig = KeepAlive() }
