package sysfs

// Walking makes an FS look up paths as on a host without openat2.
func Walking() Option { return func(f *FS) { f.walk = true } }
