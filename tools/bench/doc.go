// Package bench measures device plugins: what they cost the node they run on,
// and how soon they tell Nomad what it must know.
//
// A plugin binary is started and spoken to as Nomad does, on simulated machines
// with up to hundreds of GPUs. A second plugin, the peer, can be measured beside
// it in the same run; then each row of the table has a ratio.
package bench
