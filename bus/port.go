package bus

// OverlayPort is the TCP port of the bus on the dom's overlay address.
const OverlayPort = 4222
