package host

import "time"

// State is a host as the operator sees it.
type State struct {
	Name     string    `json:"name"`
	Home     bool      `json:"home,omitempty"` // the configured one
	Disabled bool      `json:"disabled,omitempty"`
	Broken   string    `json:"broken,omitempty"` // why it is not served although it should be
	Created  time.Time `json:"created"`
	Accounts int       `json:"accounts"`
	Sessions int       `json:"sessions"`
	Rooms    string    `json:"rooms,omitempty"` // address of its rooms' service
	Until    time.Time `json:"until"`           // end of its certificate; zero if none is loaded
	Settings []Setting `json:"settings,omitempty"`
}

// Setting is one that can differ from host to host.
type Setting struct {
	Key   string `json:"key"`
	Value string `json:"value"`
	Own   bool   `json:"own,omitempty"` // set on this host; else as in the configuration file
}

// Removal says how a host is to be removed.
type Removal struct {
	Purge  bool   `json:"purge,omitempty"`  // accounts, rosters and rooms go too; the archive stays
	Notice string `json:"notice,omitempty"` // what people who are there are told first
}
