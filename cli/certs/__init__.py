"""`pps-qmix certs`: what the machines of a federation need to know each other by."""
