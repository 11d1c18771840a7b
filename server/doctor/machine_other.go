//go:build !linux

package doctor

import "errors"

func openFiles() (uint64, error)  { return 0, errors.ErrUnsupported }
func synchronised() (bool, error) { return false, errors.ErrUnsupported }
