//go:build race

package c2s_test

const raced = true // the detector takes several times the memory
