package room

// A room has many sides; each is a type of its own over the same state, whose
// lock its methods are called with.
type (
	door struct{ *room } // who comes in (enter.go)
	talk struct{ *room } // what is said (message.go, letter.go, voice.go)
	rule struct{ *room } // who may what (admin.go, owner.go, register.go)
	// tally numbers what its affiliations are (version.go)
	tally struct{ *room }
	// usher takes who comes to the door of a room (enter.go), clerk what waits for an
	// admin or a name (approve.go, group.go).
	usher struct{ *Rooms }
	clerk struct{ *Rooms }
	// desk answers requests; boss says that one is of who administers the service
	// and may do what an owner may (XEP-0045 §10.4).
	desk struct {
		*Rooms
		boss bool
	}
)
