//go:build !linux

package sysfs

import "os"

func (r *hostRoot) readAtOnce(string, int) ([]byte, error) { return nil, errWalk }

func (r *hostRoot) directoryAtOnce(string) (*os.File, error) { return nil, errWalk }

func (r *hostRoot) readlinkAtOnce(string) (string, error) { return "", errWalk }
