"""The display for operators, and the REST interface behind it.

===========================  ===========================================  ======================
thread                       does                                         waits for
===========================  ===========================================  ======================
output to display            counts, keeps references                     the next verdict
display                      serves pages, states and answers (uvicorn)   the network
workers of it, on demand     encode a picture; inspect an upload          a model, the encoder
===========================  ===========================================  ======================

The loop waits for none of them, and nothing is put into words or encoded that nobody looks at.
"""
