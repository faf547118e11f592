#!/usr/bin/perl
# Takes one request of OTLP at its standard input, keeps it, and says that it has taken all.
use strict;
binmode STDIN;
my ($head, $length) = ('', 0);
while (defined(my $line = <STDIN>)) {
    $line =~ s/\r?\n$//;
    last if $line eq '';
    $length = $1 if $line =~ /^content-length: (\d+)/i;
    $head .= "$line\n";
}
read(STDIN, my $body, $length) == $length or exit 1;
open(my $kept, '>>', '/root/collected') or die "$!\n";
print $kept "$head$body\n";
close $kept;
print "HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
