package server

import (
	"github.com/parlance-im/parlance/feature/device"
	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/xmpp/jid"
)

// ownDevices is what people do about the devices they are signed in on.
func ownDevices(c *core) im.Feature {
	conf := device.Config{Of: func(full jid.JID) string {
		if s := c.routes.Session(full); s != nil {
			return s.Device()
		}
		return ""
	}}
	if c.accounts != nil {
		conf.Devices, conf.Member = c.accounts.Devices, c.accounts.Active
	}
	return device.Feature(conf)
}
